"""Which reader a recording takes, by the suffix of its name: JSON has estate lots, all else is the eBay CSV."""

from collections.abc import Callable
from pathlib import Path

from bench.recordings.ebay import read_auctions
from bench.recordings.estate_lots import read_estate_lots
from bench.recordings.model import Dataset

READERS: dict[str, Callable[[Path], Dataset]] = {".json": read_estate_lots}


def read_recording(path: Path) -> Dataset:
    """The recorded auctions of a file. Raises UnusableRecording, OSError."""
    return READERS.get(path.suffix.lower(), read_auctions)(path)
