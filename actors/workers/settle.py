"""Settles auctions that have ended, and has their logs say so."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from actors.stream.messages import Answer, Command, Refused, command
from actors.workers.job import Job, Later, Retry
from domain.auction.commands import Settle
from domain.auction.refusal import NOT_SOLD
from domain.ids import id_text, parse_id
from persistence.jobs.store import Claimed
from persistence.postgres.errors import StoreError
from persistence.sales.selling import Settlement
from persistence.sales.settlement import SETTLE, Due, Failure

log = structlog.get_logger()

# The kind of entity.
AUCTION = "auction"
# Where the auction's host did not answer, or another worker is settling it.
AGAIN_MS = 250
ANSWER_WITHIN_S = 10.0


class Settles(Protocol):
    """Where auctions are settled (``persistence.sales.settlement``). May raise StoreError: then do the same again."""

    async def due(self, auctions: Sequence[int]) -> list[Due]:
        """Which of these have ended and are not settled."""

    async def settle_unsold(self, auctions: Sequence[int], now_ms: int) -> int:
        """Give back what nobody bought; of how many."""

    async def settle(self, auction: int, now_ms: int) -> Settlement | Failure | None:
        """Have the winner pay and get the copies; why not, where that can't be done; None where it was, or is being."""

    async def fail(self, failure: Failure) -> None:
        """Mark a sale as one that an operator has to look at."""

    async def done(self, auctions: Sequence[int]) -> None:
        """The logs of these say that they were paid for."""


class Hosts(Protocol):
    """The router."""

    async def ask(self, request: Command, timeout_s: float = 5.0) -> Answer: ...


class SettleAuctions(Job):
    """``key``: the auction's id. Each step is looked up in the database first, so a job may run any number of times."""

    kind = SETTLE
    batch_max = 100
    timeout_s = 120.0
    retry = Retry(attempts_max=20)

    def __init__(
        self, settlements: Settles, hosts: Hosts, now_ms: Callable[[], int],
        copies_moved: Callable[[Sequence[int]], Awaitable[None]],
    ) -> None:  # fmt: skip
        """``copies_moved`` is called with auctions whose copies are not locked for them any more."""
        self._settlements = settlements
        self._hosts = hosts
        self._now_ms = now_ms
        self._copies_moved = copies_moved

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        by_auction = {parse_id(job.key): job for job in jobs}
        due = await self._settlements.due(list(by_auction))
        unsold = [one.auction for one in due if not one.sold]
        if unsold:
            await self._settlements.settle_unsold(unsold, self._now_ms())
            await self._copies_moved(unsold)
        paid = {one.auction: one.paid for one in due if one.paid is not None}
        again = []
        for one in due:
            if one.sold and one.paid is None:
                outcome = await self._settle(one.auction)
                if isinstance(outcome, Settle):
                    paid[one.auction] = outcome
                elif outcome is None:
                    again.append(one.auction)
        again += await self._record(paid)
        return [Later(by_auction[auction], AGAIN_MS) for auction in again]

    async def _settle(self, auction: int) -> Settle | Failure | None:
        now_ms = self._now_ms()
        try:
            outcome = await self._settlements.settle(auction, now_ms)
        except StoreError:
            raise
        except Exception as fault:
            # A fault of ours with this auction: nothing of it was done, and an operator has to look.
            log.exception("settlement_fault", auction=id_text(auction))
            outcome = Failure(auction, "internal_error", repr(fault), now_ms, 1)
            await self._settlements.fail(outcome)
        if isinstance(outcome, Failure):
            log.error(
                "sale_failed", auction=id_text(auction), code=outcome.code, detail=outcome.detail,
                next_step="GET /api/v1/admin/settlements/failed",
            )  # fmt: skip
            return outcome
        if outcome is None:
            return None
        await self._copies_moved([auction])
        assert outcome.buyer is not None
        return Settle(outcome.buyer, outcome.price, outcome.fee, outcome.royalties)

    async def _record(self, paid: dict[int, Settle]) -> list[int]:
        """Have the logs say that these were paid for; those whose hosts did not answer."""
        requests = [command(auction, AUCTION, settle) for auction, settle in paid.items()]
        answers = await asyncio.gather(*(self._hosts.ask(request, ANSWER_WITHIN_S) for request in requests))
        recorded, again = [], []
        for auction, answer in zip(paid, answers, strict=True):
            if isinstance(answer, Refused) and answer.code != NOT_SOLD:
                again.append(auction)
                continue
            if isinstance(answer, Refused):
                # The money is right, and the log says otherwise: nothing that trying again would change.
                log.error("settled_otherwise", auction=id_text(auction), next_step="ece verify")
            recorded.append(auction)
        if recorded:
            await self._settlements.done(recorded)
        return again
