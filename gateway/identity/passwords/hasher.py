"""Passwords: bcrypt over a keyed SHA-256, in threads, with a bounded fair queue.

bcrypt takes 72 bytes at most, so it gets a digest of fixed length instead. The key keeps hashes of other systems
(plain SHA-256 of the same password) from being tried against ours.
"""

import asyncio
import base64
import hashlib
import hmac
import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

import bcrypt

from gateway.identity.passwords.fair_queue import FairQueue, QueueFull

T = TypeVar("T")

PASSWORD_KEY = b"ece-password-v1"
AT_ONCE_MAX = 2
NICENESS = 15
# At 0.3 s each and two at once, the last of these waits five seconds.
WAITING_MAX = 32


# Who is refused is never told to come back later than that.
RETRY_MAX_S = 60.0
# Until passwords have been hashed, and the weight of each in the average.
HASH_S, HASH_WEIGHT = 0.3, 0.1


class PasswordsBusy(Exception):
    """Too many passwords are being checked: nothing was done, try again then."""

    code = "overloaded"

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__("too many passwords are being checked at once")
        self.retry_after_ms = retry_after_ms


class PasswordHasher:
    """Hashes and checks. ``cost`` is bcrypt's: a power of two of rounds."""

    def __init__(self, cost: int, *, at_once_max: int = AT_ONCE_MAX, waiting_max: int = WAITING_MAX) -> None:
        self._cost = cost
        self._threads = ThreadPoolExecutor(at_once_max, thread_name_prefix="bcrypt", initializer=_yield_to_others)
        self._queue = FairQueue(at_once_max, waiting_max)
        self.refused = 0
        self._at_once_max = at_once_max
        self._hash_s = HASH_S
        # When the last one of those who were refused may come back (monotonic).
        self._back_s = 0.0
        # Well-formed, of the same cost, and the hash of nothing: unknown users take as long as known ones.
        self._nobody = f"$2b${cost:02d}$" + "." * 53

    @property
    def in_flight(self) -> int:
        """The number of passwords that are being hashed, or wait for it."""
        return len(self._queue)

    def check_room(self, caller: str) -> None:
        """Cheap, for before all other work: raises PasswordsBusy where a password of this caller would be refused."""
        if not self._queue.has_room(caller):
            raise self._busy()

    async def hash(self, password: str, caller: str) -> str:
        """The hash to store. ``caller``: the key in the fair queue. Raises PasswordsBusy."""
        return await self._run(caller, partial(_hashed, _digest(password), self._cost))

    async def matches(self, password: str, stored: str | None, caller: str) -> bool:
        """Whether the password matches. Takes as long if ``stored`` is None. Raises PasswordsBusy."""
        same = await self._run(caller, partial(_matches, _digest(password), stored or self._nobody))
        return same and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made with less work than new ones are."""
        cost = stored.split("$")[2:3]
        return bool(cost) and cost[0].isdigit() and int(cost[0]) < self._cost

    def close(self) -> None:
        """Stop the threads; waiting requests are not done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, caller: str, work: Callable[[], T]) -> T:
        try:
            async with self._queue.turn(caller):
                began_s = time.monotonic()
                done = await asyncio.get_running_loop().run_in_executor(self._threads, work)
                self._hash_s += HASH_WEIGHT * (time.monotonic() - began_s - self._hash_s)
                return done
        except QueueFull:
            raise self._busy() from None

    def _busy(self) -> PasswordsBusy:
        """Each of those who are refused comes back later than the one before, as fast as passwords are hashed."""
        self.refused += 1
        now_s, each_s = time.monotonic(), self._hash_s / self._at_once_max
        self._back_s = min(max(self._back_s, now_s + each_s * len(self._queue)) + each_s, now_s + RETRY_MAX_S)
        return PasswordsBusy(math.ceil((self._back_s - now_s) * 1000))


def _yield_to_others() -> None:
    """On Linux a thread has a niceness of its own: bids are not slower while passwords are hashed on all cores."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _hashed(digest: bytes, cost: int) -> str:
    return bcrypt.hashpw(digest, bcrypt.gensalt(cost)).decode()


def _matches(digest: bytes, stored: str) -> bool:
    return bcrypt.checkpw(digest, stored.encode())


def _digest(password: str) -> bytes:
    """44 bytes without a zero among them."""
    return base64.b64encode(hmac.digest(PASSWORD_KEY, password.encode(), hashlib.sha256))
