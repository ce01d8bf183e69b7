"""A mailbox on disk, for engines without an SMTP server: one .eml file for each mail, the newest of them kept."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as PARSING
from pathlib import Path

import msgspec

MAILS_MAX = 1_000
# When it came (ms), and the part of its Message-ID that is its own.
_NAME = re.compile(r"(\d{13})-([0-9a-f]{40})\.eml")
_ID = re.compile(r"<([0-9a-f]{40})@")


class StoredMail(msgspec.Struct, frozen=True):
    """A mail of the mailbox. ``at`` in milliseconds."""

    at: int
    to: str
    subject: str
    text: str
    headers: dict[str, str]


class Mailbox:
    """The directory. Several processes may write and read; a mail that is sent again is one file."""

    def __init__(self, directory: Path, mails_max: int = MAILS_MAX) -> None:
        self._directory = directory
        self._mails_max = mails_max

    def put(self, message: EmailMessage, at_ms: int) -> None:
        """Store a mail, whole or not at all, and remove the oldest of too many. Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = _ID.match(str(message["Message-ID"]))
        assert found is not None, "mails have a Message-ID of this form"
        names = self._names()
        if any(name.endswith(f"-{found[1]}.eml") for name in names):
            return
        _write(self._directory, f"{at_ms:013d}-{found[1]}.eml", message.as_bytes())
        for name in names[: max(0, len(names) + 1 - self._mails_max)]:
            (self._directory / name).unlink(missing_ok=True)

    def newest(self, to: str | None = None) -> Iterator[StoredMail]:
        """The mails, the newest first; ``to``: only those to this address, in any case."""
        for name in reversed(self._names()):
            with suppress(FileNotFoundError):
                mail = _read(self._directory / name)
                if to is None or mail.to.lower() == to.lower():
                    yield mail

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._directory) if _NAME.fullmatch(name))
        except FileNotFoundError:
            return []


def _write(directory: Path, name: str, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".mail.")  # mkstemp gives 0600
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        Path(temporary).replace(directory / name)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(path: Path) -> StoredMail:
    with path.open("rb") as handle:
        message = BytesParser(policy=PARSING).parse(handle)
    body = message.get_body(("plain",))
    headers = {name: str(value) for name, value in message.items()}
    at = int(path.name.partition("-")[0])
    text = "" if body is None else str(body.get_content()).replace("\r\n", "\n")
    return StoredMail(at, str(message["To"]), str(message["Subject"]), text, headers)
