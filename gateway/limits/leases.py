"""Commands of an account over all sockets of all gateways, limited without a round trip on the way of a command.

A gateway leases tokens of the bucket in Redis, some at once, and spends them locally. It asks for more before they are
gone; the asks of all accounts that wait go in one call. A lease ends after a time, and what was not spent is lost.
The first commands of an account are admitted on credit, which the next ask pays: commands never wait.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from domain.rate_limit import Ask, Rate, Taken
from gateway.limits.limiter import CALLERS_MAX, Limiter

BIDS = "bids"
LEASE_S = 10.0
LEASE_MIN, LEASE_MAX = 16, 256
# Commands admitted before the first answer; after a refusal one for each retry.
CREDIT_MAX = 16
BATCH_MAX = 500
ASKED_AGAIN_AFTER_MS = 50


class Lease:
    """The tokens of one account in this gateway."""

    __slots__ = ("_leases", "account", "debt", "ends_s", "retry_s", "size", "tokens", "wanted")

    def __init__(self, leases: "Leases", account: int) -> None:
        self._leases = leases
        self.account = account
        self.tokens = 0
        self.ends_s = 0.0
        self.size = LEASE_MIN
        self.debt = 0
        # After a refusal: when there is a token again.
        self.retry_s: float | None = None
        self.wanted = False

    def take(self) -> bool:
        """Spend a token; False: the account has to wait."""
        now_s = self._leases.clock_s()
        if self.tokens and now_s < self.ends_s:
            self.tokens -= 1
            if self.tokens <= self.size // 4 and (self.retry_s is None or now_s >= self.retry_s):
                self._leases.want(self)
            return True
        return self._on_credit(now_s)

    def _on_credit(self, now_s: float) -> bool:
        if self.tokens:
            # The lease ended before it was spent.
            self.tokens, self.size = 0, LEASE_MIN
        if self.retry_s is not None and now_s < self.retry_s:
            return False
        if self.debt >= (CREDIT_MAX if self.retry_s is None else 1):
            return False
        self.debt += 1
        self._leases.want(self)
        return True

    @property
    def retry_after_ms(self) -> int:
        """When a refused command should be sent again."""
        wait_s = 0.0 if self.retry_s is None else self.retry_s - self._leases.clock_s()
        return max(ASKED_AGAIN_AFTER_MS, math.ceil(wait_s * 1000))

    def ask(self, rate: Rate) -> Ask:
        """What the next call asks for."""
        most = max(1, min(self.size, rate.burst // 4))
        return Ask(f"{BIDS}:{self.account}", rate, 1, most, self.debt)

    def answered(self, taken: Taken, paid: int, now_s: float) -> None:
        """What the call gave; it paid so much of the debt."""
        self.wanted = False
        self.debt -= paid
        if not taken.granted:
            self.retry_s = now_s + taken.retry_us / 1_000_000
            return
        if now_s < self.ends_s:
            self.size = min(2 * self.size, LEASE_MAX)
        self.retry_s = None
        self.tokens += taken.granted
        self.ends_s = now_s + LEASE_S


class Leases:
    """The leases of one gateway. In a full table the least recently used account is removed."""

    def __init__(self, limiter: Limiter, rate: Rate, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._limiter = limiter
        self._rate = rate
        self.clock_s = clock_s
        self._by_account: OrderedDict[int, Lease] = OrderedDict()
        self._wanted: list[Lease] = []
        self._asking: asyncio.Task[None] | None = None

    def of(self, account: int) -> Lease:
        """The lease of this account, which its sockets share."""
        lease = self._by_account.get(account)
        if lease is None:
            lease = self._by_account[account] = Lease(self, account)
        self._by_account.move_to_end(account)
        if len(self._by_account) > CALLERS_MAX:
            self._by_account.popitem(last=False)
        return lease

    def want(self, lease: Lease) -> None:
        """Ask for more tokens soon."""
        if lease.wanted:
            return
        lease.wanted = True
        self._wanted.append(lease)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask(), name="rate limit leases")

    async def stop(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        while self._wanted:
            batch, self._wanted = self._wanted[:BATCH_MAX], self._wanted[BATCH_MAX:]
            asks = [lease.ask(self._rate) for lease in batch]
            taken = await self._limiter.take(asks, together=False)
            now_s = self.clock_s()
            for lease, ask, one in zip(batch, asks, taken, strict=True):
                lease.answered(one, ask.debt, now_s)
