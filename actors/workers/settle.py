"""Settles auctions that have ended, and records it in their logs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from actors.stream.messages import Answer, Refused, Request, command
from actors.workers.job import Job, Later, Retry
from domain.auction.commands import Settle
from domain.auction.refusal import NOT_SOLD
from domain.errors import CARD_GONE
from domain.ids import id_text, parse_id
from persistence.jobs.store import Claimed
from persistence.postgres.errors import StoreError
from persistence.sales.selling import Settlement
from persistence.sales.settlement import SETTLE, Due, Failure

log = structlog.get_logger()

# The kind of entity.
AUCTION = "auction"
# The delay where the auction's host did not answer, or another worker settles it.
AGAIN_MS = 250
ANSWER_WITHIN_S = 10.0


class NotSold(Exception):
    """The host of a settled auction says that it was not sold. If it still does so in the end: ``ece verify``."""


class Settles(Protocol):
    """Settles auctions (``persistence.sales.settlement``). May raise StoreError: then the same call is repeated."""

    async def due(self, auctions: Sequence[int]) -> list[Due]:
        """Those of these auctions that have ended and are not settled."""

    async def settle_unsold(self, auctions: Sequence[int], now_ms: int) -> int:
        """Return the copies of auctions without a winner; returns how many auctions."""

    async def settle(self, auction: int, now_ms: int) -> Settlement | Failure | None:
        """Settle one auction. Failure: it can't be settled; None: it is settled already, or another worker does so.

        A settlement without a buyer: the card is gone from the chain, and the sale is cancelled.
        """

    async def fail(self, failure: Failure) -> None:
        """Mark a sale as failed, for an operator."""

    async def done(self, auctions: Sequence[int]) -> None:
        """Mark these as settled in their logs."""


class Hosts(Protocol):
    """The router."""

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer: ...


class SettleAuctions(Job):
    """``key``: the auction's id. Each step checks the database first, so a job may run any number of times."""

    kind = SETTLE
    batch_max = 100
    timeout_s = 120.0
    retry = Retry(attempts_max=20)

    def __init__(
        self, settlements: Settles, hosts: Hosts, now_ms: Callable[[], int],
        copies_moved: Callable[[Sequence[int]], Awaitable[None]],
    ) -> None:  # fmt: skip
        """``copies_moved`` is called with auctions whose copies were unlocked."""
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
                if outcome is None:
                    again.append(one.auction)
                elif isinstance(outcome, Settlement) and outcome.buyer is not None:
                    paid[one.auction] = Settle(outcome.buyer, outcome.price, outcome.fee, outcome.royalties)
        again += await self._record(paid)
        return [Later(by_auction[auction], AGAIN_MS) for auction in again]

    async def _settle(self, auction: int) -> Settlement | Failure | None:
        now_ms = self._now_ms()
        try:
            outcome = await self._settlements.settle(auction, now_ms)
        except StoreError:
            raise
        except Exception as fault:
            # An internal error: the transaction was rolled back, and an operator has to look at this auction.
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
        if outcome.buyer is None:
            log.warning("sale_cancelled", auction=id_text(auction), reason=CARD_GONE)
        await self._copies_moved([auction])
        return outcome

    async def _record(self, paid: dict[int, Settle]) -> list[int]:
        """Record the settlements in the logs; returns the auctions whose hosts did not answer. Raises NotSold."""
        requests = [command(auction, AUCTION, settle) for auction, settle in paid.items()]
        answers = await asyncio.gather(*(self._hosts.ask(request, ANSWER_WITHIN_S) for request in requests))
        recorded, again, otherwise = list[int](), list[int](), list[int]()
        for auction, answer in zip(paid, answers, strict=True):
            if not isinstance(answer, Refused):
                recorded.append(auction)
            else:
                (otherwise if answer.code == NOT_SOLD else again).append(auction)
        if recorded:
            await self._settlements.done(recorded)
        if otherwise:
            # Perhaps its host has not read the end yet, which a former owner has written.
            raise NotSold(", ".join(map(id_text, otherwise)))
        return again
