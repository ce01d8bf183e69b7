"""Passwords: bcrypt over a keyed SHA-256, in threads, with a bounded fair queue.

bcrypt takes 72 bytes at most, so it gets a digest of fixed length instead. The key keeps hashes of other systems
(plain SHA-256 of the same password) from being tried against ours.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import bcrypt

from gateway.identity.fair_queue import FairQueue, QueueFull

T = TypeVar("T")

PASSWORD_KEY = b"ece-password-v1"
AT_ONCE_MAX = 2
# At 0.3 s each and two at once, the last of these waits five seconds.
WAITING_MAX = 32


class PasswordsBusy(Exception):
    """Too many passwords are being checked: nothing was done, try again in a moment."""

    code = "overloaded"


class PasswordHasher:
    """Hashes and checks. ``cost`` is bcrypt's: a power of two of rounds."""

    def __init__(self, cost: int, *, at_once_max: int = AT_ONCE_MAX, waiting_max: int = WAITING_MAX) -> None:
        self._cost = cost
        self._threads = ThreadPoolExecutor(at_once_max, thread_name_prefix="bcrypt")
        self._queue = FairQueue(at_once_max, waiting_max)
        self.refused = 0
        # Well-formed, of the same cost, and the hash of nothing: unknown users take as long as known ones.
        self._nobody = f"$2b${cost:02d}$" + "." * 53

    @property
    def in_flight(self) -> int:
        """The number of passwords that are being hashed, or wait for it."""
        return len(self._queue)

    async def hash(self, password: str, caller: str) -> str:
        """The hash to store. ``caller``: the key in the fair queue. Raises PasswordsBusy."""
        return await self._run(caller, partial(_hashed, _digest(password), self._cost))

    async def matches(self, password: str, stored: str | None, caller: str) -> bool:
        """Whether the password matches. Takes as long if ``stored`` is None. Raises PasswordsBusy."""
        same = await self._run(caller, partial(_matches, _digest(password), stored or self._nobody))
        return same and stored is not None

    def close(self) -> None:
        """Stop the threads; waiting requests are not done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, caller: str, work: Callable[[], T]) -> T:
        try:
            async with self._queue.turn(caller):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except QueueFull:
            self.refused += 1
            raise PasswordsBusy("too many passwords are being checked at once") from None


def _hashed(digest: bytes, cost: int) -> str:
    return bcrypt.hashpw(digest, bcrypt.gensalt(cost)).decode()


def _matches(digest: bytes, stored: str) -> bool:
    return bcrypt.checkpw(digest, stored.encode())


def _digest(password: str) -> bytes:
    """44 bytes without a zero among them."""
    return base64.b64encode(hmac.digest(PASSWORD_KEY, password.encode(), hashlib.sha256))
