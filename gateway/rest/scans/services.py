"""What the route of scans needs: the process that looks at photographs, the fingerprints, and places."""

from collections.abc import Iterator
from contextlib import contextmanager

from actors.scanning.scanner import Scanner
from domain.errors import OVERLOADED
from gateway.http.problems import Problem
from persistence.catalog.fingerprints import CardFingerprints

# One is looked at, the others arrive or wait: each is in memory.
SCANS_MAX = 4
PHOTOGRAPH_BYTES_MAX = 8 * 1024 * 1024


class Scans:
    """``scanner`` and ``fingerprints``, and a bound of photographs at the same time."""

    def __init__(self, scanner: Scanner, fingerprints: CardFingerprints, scans_max: int = SCANS_MAX) -> None:
        self.scanner = scanner
        self.fingerprints = fingerprints
        self._places = scans_max

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for a photograph. Raises the problem ``overloaded`` if all are taken."""
        if self._places == 0:
            raise Problem(OVERLOADED, "too many scans at once: try again in a moment")
        self._places -= 1
        try:
            yield
        finally:
            self._places += 1
