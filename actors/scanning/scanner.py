"""Pictures of users are decoded in a process of their own, one at a time (process.py)."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec
import structlog

from actors.scanning.messages import HEAD, INDEX, LENGTH, REENCODE, SCAN, Refused, Seen
from chain.storage.errors import ContentError, ContentTooLarge, ImageTooLarge, InvalidImage, UnsupportedImage
from chain.storage.images import PIXELS_MAX
from chain.storage.reencoding import REENCODED_BYTES_MAX, Reencoded

# With the start of the process. One photograph takes about a tenth of a second.
ANSWER_WITHIN_S = 10.0
# The largest picture takes 4 s of CPU, the longest animation 7.
REENCODED_WITHIN_S = 30.0
# A Reencoded is the longest one, and its picture is nearly all of it.
ANSWER_BYTES_MAX = REENCODED_BYTES_MAX + 1_000
ENDS_WITHIN_S = 2.0
# A process may have ended for want of work just when it is asked again.
STARTS_MAX = 2
# A new error for each refusal: one that is raised again keeps the frames of all earlier times, and their photographs.
_REFUSALS: Mapping[str, Callable[[Refused], ContentError]] = {
    "UnsupportedImage": lambda refused: UnsupportedImage(refused.text),
    "ImageTooLarge": lambda refused: ImageTooLarge(refused.maximum or PIXELS_MAX),
    "ContentTooLarge": lambda refused: ContentTooLarge(refused.maximum or REENCODED_BYTES_MAX),
}
# All that it gets: no settings, so no secrets. Libraries would start a thread for each processor.
_VARIABLES = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

log = structlog.get_logger(__name__)


class ScanTooSlow(Exception):
    """No answer in time: nothing happened."""


class Scanner:
    """Starts the process when it is needed first. Its methods raise ScanTooSlow and subclasses of ContentError."""

    def __init__(self, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._answer_within_s = answer_within_s
        self._process: Process | None = None
        self._one = asyncio.Lock()

    async def scan(self, photograph: bytes) -> Seen:
        """Where cards may be in a photograph."""
        return msgspec.msgpack.decode(await self._ask(SCAN, photograph), type=Seen)

    async def fingerprint(self, picture: bytes) -> bytes:
        """Of a card's picture."""
        return msgspec.msgpack.decode(await self._ask(INDEX, picture), type=bytes)

    async def reencoded(self, picture: bytes) -> Reencoded:
        """A picture without anything else that its file has."""
        return msgspec.msgpack.decode(await self._ask(REENCODE, picture), type=Reencoded)

    async def close(self) -> None:
        """End the process."""
        async with self._one:
            await self._end()

    async def _ask(self, asked: bytes, picture: bytes) -> bytes:
        async with self._one:
            for _ in range(STARTS_MAX):
                content = await self._answer(asked, picture)
                if content is not None:
                    return _accepted(content)
            # The decoder died of it, twice.
            log.warning("scanner_died", bytes=len(picture))
            raise InvalidImage("the file is damaged")

    async def _answer(self, asked: bytes, picture: bytes) -> bytes | None:
        """None: the process is gone."""
        answered = False
        try:
            async with asyncio.timeout(self._answer_within_s):
                process = await self._started()
                assert process.stdin is not None, "it has a pipe"
                assert process.stdout is not None, "it has a pipe"
                process.stdin.write(HEAD.pack(asked, len(picture)) + picture)
                await process.stdin.drain()
                length = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))[0]
                if length > ANSWER_BYTES_MAX:
                    return None
                content = await process.stdout.readexactly(length)
                answered = True
                return content
        except TimeoutError:
            raise ScanTooSlow from None
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        finally:
            # Also after a cancellation: the next one must not get this answer.
            if not answered:
                await self._end()

    async def _started(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            command = (sys.executable, "-m", "actors.scanning.process")
            self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=_VARIABLES)
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with suppress(ProcessLookupError):
            process.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN_S):
                await process.wait()


def _accepted(content: bytes) -> bytes:
    with suppress(msgspec.ValidationError):
        refused = msgspec.msgpack.decode(content, type=Refused)
        made = _REFUSALS.get(refused.refused)
        raise InvalidImage(refused.text) if made is None else made(refused)
    return content
