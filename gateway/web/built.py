"""The built browser client in memory: whatever is not in here cannot be asked for."""

import base64
import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import msgspec

INDEX = "index.html"
# Beside the output; scripts/web writes why a build failed.
FAILURE = ".build-failure.txt"
PRELOADS = "preloads.json"
FILES_MAX = 500
BYTES_MAX = 32 * 1024 * 1024
FAILURE_CHARACTERS_MAX = 2_000
# Best first.
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
MEDIA_TYPES = {".js": "text/javascript", ".woff2": "font/woff2", ".webmanifest": "application/manifest+json"}


class BuildTooLarge(Exception):
    """The folder has more, or larger, files than a browser client has."""


@dataclass(frozen=True)
class BuiltFile:
    """A file, and the same compressed: by its name in Accept-Encoding."""

    content: bytes
    media_type: str
    compressed: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def etag(self) -> str:
        """Weak: the same for each encoding."""
        digest = base64.urlsafe_b64encode(hashlib.sha256(self.content).digest()[:12]).decode()
        return f'W/"{digest}"'

    def encoded(self, accepted: str) -> tuple[str | None, bytes]:
        """The encoding to send to a client with this Accept-Encoding, and the bytes; None: as it is."""
        known = _accepted_encodings(accepted)
        for encoding, _ in ENCODINGS:
            if encoding in known and encoding in self.compressed:
                return encoding, self.compressed[encoding]
        return None, self.content


class BuiltApp:
    """The files of a build, by their paths in it. Read again when a new build stands in its place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_at: int | None = None
        self._files: Mapping[str, BuiltFile] = {}
        self._preloads: Mapping[str, Sequence[str]] = {}

    def file(self, path: str) -> BuiltFile | None:
        """A file of the build. Raises BuildTooLarge."""
        self._refresh()
        return self._files.get(path)

    def preloads(self, page: str) -> Sequence[str]:
        """The scripts that the page of this route needs. Raises BuildTooLarge."""
        self._refresh()
        return self._preloads.get(page, ())

    def failure(self) -> str | None:
        """Why the last build failed; None if none did."""
        try:
            text = (self._folder.parent / FAILURE).read_text("utf-8", errors="replace")
        except OSError:
            return None
        return text[-FAILURE_CHARACTERS_MAX:]

    def _refresh(self) -> None:
        try:
            built_at = (self._folder / INDEX).stat().st_mtime_ns
        except OSError:
            self._read_at, self._files, self._preloads = None, {}, {}
            return
        if built_at != self._read_at:
            self._files, self._read_at = read_build(self._folder), built_at
            listed = self._files.get(PRELOADS)
            self._preloads = {} if listed is None else msgspec.json.decode(listed.content, type=dict[str, list[str]])


def read_build(folder: Path) -> Mapping[str, BuiltFile]:
    """All files below a folder but hidden ones and links. Raises BuildTooLarge, OSError."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    if len(paths) > FILES_MAX or sum(path.stat().st_size for path in paths) > BYTES_MAX:
        raise BuildTooLarge(f"{folder} has more than {FILES_MAX} files or {BYTES_MAX} bytes")
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.name[0] != "."}
    return {
        name: BuiltFile(
            content,
            _media_type(name),
            {encoding: contents[name + suffix] for encoding, suffix in ENCODINGS if name + suffix in contents},
        )
        for name, content in contents.items()
        if not name.endswith(tuple(suffix for _, suffix in ENCODINGS))
    }


def _media_type(name: str) -> str:
    known = MEDIA_TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{known}; charset=utf-8" if known.startswith("text/") else known


def _accepted_encodings(header: str) -> set[str]:
    """Those named in Accept-Encoding, without those of weight 0."""
    found = set()
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        if weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            found.add(name.strip())
    return found
