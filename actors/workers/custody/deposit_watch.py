"""Makes deposits prompt: a subscription to the token account of each wallet whose user is about to deposit.

An update only adds a job that looks at the wallet. What subscriptions miss is found by the periodic reading.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import structlog

from actors.workers.custody.deposits import FollowDeposits
from actors.workers.job import Job, Later, Retry
from chain.rpc.errors import ChainUnavailable
from domain.ids import id_text, parse_id
from persistence.jobs.rows import JobRow
from persistence.jobs.store import Claimed, JobStore
from persistence.postgres.errors import StoreError
from persistence.wallets.deposits import Deposits

READ_DEPOSITS = "read_deposits"
WATCHED_MAX = 500
EVERY_S = 2.0

log = structlog.get_logger()


class Notices(Protocol):
    """A subscription. It also gives a notice after each connect, when something may have been missed."""

    def __aiter__(self) -> AsyncIterator[Any]: ...
    def close(self) -> None: ...


# The final changes of the account with this address. Raises ChainUnavailable if there are too many subscriptions.
Subscribe = Callable[[str], Notices]


class ReadDeposits(Job):
    """``key``: the user at whose wallet something may have arrived. Add it with ``add_again``."""

    kind = READ_DEPOSITS
    batch_max = 100
    timeout_s = 120.0
    retry = Retry(longest_ms=15_000)

    def __init__(self, deposits: Deposits, follow: FollowDeposits) -> None:
        self._deposits = deposits
        self._follow = follow

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        wallets = await self._deposits.wallets_of([parse_id(job.key) for job in jobs])
        await self._follow.look_at(wallets)
        return []


class DepositWatch:
    """``run`` until it is cancelled. Several may run: their jobs are the same."""

    def __init__(
        self, deposits: Deposits, jobs: JobStore, subscribe: Subscribe, account_of: Callable[[str], str],
        now_ms: Callable[[], int], every_s: float = EVERY_S,
    ) -> None:  # fmt: skip
        self._deposits = deposits
        self._jobs = jobs
        self._subscribe_to = subscribe
        self._account_of = account_of
        self._now_ms = now_ms
        self._every_s = every_s
        self._open: dict[int, tuple[Notices, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Subscribe to the wallets that are watched, and to no others."""
        try:
            while True:
                try:
                    await self._subscribe()
                except (StoreError, ChainUnavailable) as error:
                    log.warning("deposit_watch_waits", error=str(error))
                await asyncio.sleep(self._every_s)
        finally:
            for user in list(self._open):
                self._end(user)

    async def _subscribe(self) -> None:
        watched = {wallet.user: wallet for wallet in await self._deposits.watched(self._now_ms(), WATCHED_MAX)}
        for user in self._open.keys() - watched.keys():
            self._end(user)
        for user in watched.keys() - self._open.keys():
            notices = self._subscribe_to(self._account_of(watched[user].address))
            self._open[user] = notices, asyncio.create_task(self._read(user, notices), name="deposit-watch")

    def _end(self, user: int) -> None:
        notices, reading = self._open.pop(user)
        notices.close()
        reading.cancel()

    async def _read(self, user: int, notices: Notices) -> None:
        async for _ in notices:
            try:
                await self._jobs.add_again([JobRow(READ_DEPOSITS, id_text(user))])
            except StoreError as error:
                # The periodic reading finds it.
                log.warning("deposit_not_announced", error=str(error))
