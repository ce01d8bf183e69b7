"""How a bench is defined: its texts, its options, the function that runs it, and the report that it returns.

A bench is one module in `bench/measures/` with a `Bench`, and one line in `bench/registry.py`. The runner
(`ece/commands/bench/`) makes the command from it, starts engines, shows progress, and prints the report or its JSON.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from bench.engine import LIFTED_LIMITS, OwnEngine

T = TypeVar("T")


class BenchFailed(Exception):
    """A bench can't go on. The message says why."""


@dataclass(frozen=True, eq=False)
class Option(Generic[T]):
    """One option of the command line. `type` is its annotation; `unit` stands for the value in the help text.

    With `choices` the option may be given several times, and its value is a list of choices in their own order;
    without the option, all of them.
    """

    flags: tuple[str, ...]
    type: Any
    default: T
    unit: str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The first flag as an identifier."""
        return self.flags[0].lstrip("-").replace("-", "_")


@dataclass(frozen=True)
class Table:
    """Rows of text. The first column is aligned left, the others right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Report:
    """`figures` is the JSON object; `text` is what a terminal shows, in order. Not `passed`: exit code 1."""

    figures: Mapping[str, Any]
    text: Sequence[Table | str]
    passed: bool = True


class Context(Protocol):
    """What the runner gives to a bench."""

    def value(self, option: Option[T]) -> T:
        """The value of one of the bench's options."""

    def progress(self, message: str) -> None:
        """Show what the bench does now, on stderr."""

    def engine(self, settings: Mapping[str, int | str] = LIFTED_LIMITS) -> AbstractAsyncContextManager[OwnEngine]:
        """A new engine with these settings, on temporary data; it ends with the block."""

    def database(self) -> AbstractAsyncContextManager[str]:
        """The URL of a new PostgreSQL, of the engine's build and with its settings, with an empty database."""

    async def idle(self) -> None:
        """Wait until the processors are idle, at most 20 s: Ray's agents start for seconds after an engine is ready."""


@dataclass(frozen=True)
class Bench:
    """`summary` is one sentence; `help` says how to read the figures, in paragraphs.

    `run` may raise BenchFailed, EceError, NoAccounts or OSError.
    """

    name: str
    summary: str
    help: str
    options: Sequence[Option[Any]]
    run: Callable[[Context], Awaitable[Report]]


SECONDS = Option(
    ("--seconds",), float, 10.0, "SECONDS", "Length of each measurement, after a warm-up.", minimum=0.5, maximum=3600
)
