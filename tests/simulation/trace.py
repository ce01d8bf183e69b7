"""The trace of one run: every step that a seed decides. Two runs of one seed have the same hash."""

import hashlib
from collections.abc import Callable


class Trace:
    """Hashes lines with their virtual time; ``show`` gets them, too."""

    def __init__(self, now_s: Callable[[], float], show: Callable[[str], object] | None = None) -> None:
        self._now_s = now_s
        self._show = show
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines = 0

    def __call__(self, line: str) -> None:
        text = f"{self._now_s():.6f} {line}\n"
        self._hash.update(text.encode())
        self.lines += 1
        if self._show is not None:
            self._show(text[:-1])

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
