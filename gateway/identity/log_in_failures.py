"""Delays after wrong passwords: they grow by account and address, and more slowly by account alone.

The delay of the account is short and does not hold for an address from which its user has logged in before: nobody can
lock somebody else out. Unknown logins count as known ones, so that no answer tells which are known.

Tries at the same moment would all pass before the first one has failed, so they are few for each account.
"""

import hashlib
import secrets
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import structlog

from gateway.identity.attempts import TooManyAttempts
from persistence.redis.log_in_failures import CountsUnavailable, FailureCounts, Failures

# Wrong passwords without a delay; then 1 s, 2 s, 4 s, …
PAIR_FREE, PAIR_DELAY_MAX_MS = 5, 900_000
ACCOUNT_FREE, ACCOUNT_DELAY_MAX_MS = 30, 60_000
KEYS_MAX = 10_000
# Passwords of an account that are checked at the same time; one where there are delays.
OPEN_MAX = 8
OPEN_RETRY_MS = 1_000

log = structlog.get_logger(__name__)


def delay_ms(failures: int, free: int, longest_ms: int) -> int:
    """How long after so many wrong passwords the next one has to wait."""
    return 0 if failures <= free else min(longest_ms, 1_000 << min(failures - free - 1, 20))


class Counted(msgspec.Struct, frozen=True):
    """Whether delays begin with this failure, and whether the user should be told: once, until a day is quiet."""

    delayed: bool
    notifies: bool


class Attempt(msgspec.Struct, frozen=True):
    """A password from an address. ``typed``: the login; ``user``: whose it is, so that name and address count as one.

    Nobody learns from a few failures at one login whether another one is of the same user: ``typed`` counts by itself.
    """

    typed: str
    address: str
    user: int | None = None


class LogInFailures:
    """Counts in Redis; in this gateway alone where Redis does not answer. In a full table the oldest are removed."""

    def __init__(self, shared: FailureCounts | None = None) -> None:
        self._shared = shared
        self._local: OrderedDict[str, Failures] = OrderedDict()
        self._open: Counter[str] = Counter()

    @asynccontextmanager
    async def admitted(self, attempt: Attempt, now_ms: int) -> AsyncIterator[None]:
        """While a password is checked. Raises TooManyAttempts, as ``admit``, and where too many others are checked."""
        (_, account), one = _keys(attempt), secrets.token_hex(8)
        self._open[account] += 1
        try:
            await self.admit(attempt, now_ms, await self._begin(account, one, now_ms))
            yield
        finally:
            await self._end(account, one)

    async def admit(self, attempt: Attempt, now_ms: int, open_tries: int = 1) -> None:
        """Raises TooManyAttempts while this account has to wait, at this address.

        ``open_tries``: how many passwords of the account are being checked, this one included.
        """
        (pair, whole), known = await self._read(_keys(attempt), _home(attempt))
        if not known and open_tries > (1 if whole.count > ACCOUNT_FREE else OPEN_MAX):
            raise TooManyAttempts(OPEN_RETRY_MS, PAIR_FREE, -(-PAIR_DELAY_MAX_MS // 1000))
        waits = [pair.last_ms + delay_ms(pair.count, PAIR_FREE, PAIR_DELAY_MAX_MS) - now_ms]
        if not known:
            waits.append(whole.last_ms + delay_ms(whole.count, ACCOUNT_FREE, ACCOUNT_DELAY_MAX_MS) - now_ms)
        if max(waits) > 0:
            raise TooManyAttempts(max(waits), PAIR_FREE, -(-PAIR_DELAY_MAX_MS // 1000))

    async def failed(self, attempt: Attempt, now_ms: int) -> Counted:
        """Count a wrong password."""
        pair, whole = await self._add(_keys(attempt), now_ms)
        return Counted(pair == PAIR_FREE + 1 or whole == ACCOUNT_FREE + 1, whole == PAIR_FREE + 1)

    async def succeeded(self, attempt: Attempt) -> None:
        """The right password: no delay any more at this address, which is the user's."""
        pair_key, _ = _keys(attempt)
        self._local.pop(pair_key, None)
        if self._shared is not None:
            try:
                await self._shared.succeeded([pair_key], _home(attempt))
            except CountsUnavailable as error:
                log.warning("log_in_failures_unavailable", error=str(error))

    async def forget(self, user: int) -> None:
        """The user has a new password: nothing is left of the tries at the old one, at other addresses neither."""
        account_key = _account(user)
        self._local.pop(account_key, None)
        if self._shared is not None:
            try:
                await self._shared.succeeded([account_key], None)
            except CountsUnavailable as error:
                log.warning("log_in_failures_unavailable", error=str(error))

    async def stop(self) -> None:
        """Close the connections to Redis."""
        if self._shared is not None:
            await self._shared.close()

    async def _begin(self, account: str, one: str, now_ms: int) -> int:
        if self._shared is not None:
            try:
                return await self._shared.begin(account, one, now_ms)
            except CountsUnavailable as error:
                log.warning("log_in_failures_unavailable", error=str(error))
        return self._open[account]

    async def _end(self, account: str, one: str) -> None:
        self._open[account] -= 1
        if not self._open[account]:
            del self._open[account]
        if self._shared is not None:
            try:
                await self._shared.end(account, one)
            except CountsUnavailable as error:
                log.warning("log_in_failures_unavailable", error=str(error))

    async def _read(self, keys: Sequence[str], home: str) -> tuple[list[Failures], bool]:
        if self._shared is not None:
            try:
                return await self._shared.read(keys, home)
            except CountsUnavailable as error:
                log.warning("log_in_failures_unavailable", error=str(error))
        return [self._local.get(key, Failures()) for key in keys], False

    async def _add(self, keys: Sequence[str], now_ms: int) -> list[int]:
        # Here as well, so that a failing Redis does not set the count back to nothing.
        for key in keys:
            self._local[key] = Failures(self._local.get(key, Failures()).count + 1, now_ms)
            self._local.move_to_end(key)
        while len(self._local) > KEYS_MAX:
            self._local.popitem(last=False)
        if self._shared is not None:
            try:
                return await self._shared.failed(keys, now_ms)
            except CountsUnavailable as error:
                log.warning("log_in_failures_unavailable", error=str(error))
        return [self._local[key].count for key in keys]


def _keys(attempt: Attempt) -> tuple[str, str]:
    """Of the pair and of the account. What clients typed is perhaps a password: Redis gets hashes of it."""
    return _hash(f"{attempt.typed}\n{attempt.address}"), _account(attempt.user, attempt.typed)


def _home(attempt: Attempt) -> str:
    """Of an address that may be the user's."""
    return _hash(f"{_account(attempt.user, attempt.typed)}\n{attempt.address}")


def _account(user: int | None, typed: str = "") -> str:
    # A login has no line end: none is like the id of another user.
    return _hash(typed if user is None else f"\n{user}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
