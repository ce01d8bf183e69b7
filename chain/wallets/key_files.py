"""Secrets in files that only their owner can read: keypairs in the format of the Solana tools, and wallet secrets."""

import json
import os
import secrets
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from solders.keypair import Keypair

KEYPAIR_BYTES = 64
FILE_BYTES_MAX = 16_384


class UnusableKey(Exception):
    """A key that the engine can't use: damaged, or readable by others. The message never shows it."""


def keypair_in(path: Path) -> Keypair:
    """The keypair in this file, made where there is none: a JSON array of 64 numbers. Raises UnusableKey."""
    text = read_private(path)
    if text is None:
        write_private_once(path, json.dumps(list(bytes(Keypair()))))
        # Another process may have been first: what is in the file now counts.
        text = read_private(path)
    try:
        numbers = json.loads(text or "")
        raw = bytes(numbers)
        if len(raw) != KEYPAIR_BYTES:
            raise ValueError
        keypair = Keypair.from_bytes(raw)
    except (ValueError, TypeError):
        raise UnusableKey(f"{path} has no keypair: restore it from a back-up") from None
    return keypair


@dataclass(frozen=True)
class WalletSecrets:
    """Where the secrets of the wallets come from: the given ones, the newest first, or the lines of a file."""

    path: Path
    given: Sequence[str] = field(default=(), repr=False)

    def __call__(self) -> list[str]:
        """The secrets, the newest first; one is made where there is no file. Raises UnusableKey."""
        if self.given:
            return list(self.given)
        text = read_private(self.path)
        if text is None:
            write_private_once(self.path, secrets.token_urlsafe(48) + "\n")
            text = read_private(self.path)
        found = [line.strip() for line in (text or "").splitlines() if line.strip()]
        if not found:
            raise UnusableKey(f"{self.path} is empty: restore it from a back-up")
        return found


def read_private(path: Path) -> str | None:
    """The text of a file of secrets; None where there is none. Raises UnusableKey if others may read it."""
    try:
        with path.open() as handle:
            status = os.fstat(handle.fileno())
            if stat.S_IMODE(status.st_mode) & 0o077:
                raise UnusableKey(f"{path} may be read by others: chmod 600 {path}")
            return handle.read(FILE_BYTES_MAX)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableKey(f"{path} can't be read: {type(error).__name__}") from None


def write_private_once(path: Path, text: str) -> None:
    """Write the file, whole and with mode 0600, unless there is one. Raises UnusableKey."""
    _written(path, text, replace=False)


def write_private(path: Path, text: str) -> None:
    """Write the file, whole and with mode 0600, in place of the one before. Raises UnusableKey."""
    _written(path, text, replace=True)


def _written(path: Path, text: str, *, replace: bool) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp gives 0600
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w") as handle:
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
            if replace:
                temporary.replace(path)
            else:
                with suppress(FileExistsError):
                    path.hardlink_to(temporary)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UnusableKey(f"{path} can't be written: {error.strerror}") from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
