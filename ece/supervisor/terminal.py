"""Output of `ece up`: a spinner for each step on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Terminal:
    """Writes all messages of `ece up`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A step that takes time: prints its begin (or a spinner), and at its end how long it took."""
        task = self._progress.add_task(escape(title), total=None)
        if not self._console.is_terminal:
            self._line(f"  … {title}")
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self._progress.remove_task(task)
            raise
        self._progress.remove_task(task)
        self._line(f"  [green]✓[/] {escape(title)} [dim]({time.monotonic() - began:.1f} s)[/]")

    def heading(self, text: str) -> None:
        self._line(f"[bold]{escape(text)}[/]")

    def note(self, text: str) -> None:
        self._line(f"  {escape(text)}")

    def warning(self, text: str, lines: Sequence[str] = ()) -> None:
        self._line(f"  [yellow]![/] {escape(text)}")
        for line in lines:
            self._line(f"      [dim]{escape(line[:500])}[/]")

    def ready(self, lines: Sequence[tuple[str, str]]) -> None:
        """The final block with addresses. It ends the spinner and shows the cursor again."""
        self._progress.stop()
        self._line("")
        for label, value in lines:
            self._line(f"  [bold]{escape(label):<9}[/] {escape(value)}")
        self._line("")

    def _line(self, markup: str) -> None:
        # A full disk, or a reader that is gone, must not end the engine.
        with suppress(OSError):
            # No wrapping and no highlighting: a URL must stay one piece.
            self._console.print(markup, highlight=False, soft_wrap=True)
