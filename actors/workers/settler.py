"""Settles the auctions of one host that have ended, beside its bids, and has their logs say so."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from actors.hosting.entity.orders import Reply
from actors.hosting.ownership.ownership import Ownership
from actors.stream.messages import Answer, Command, Refused, command
from domain.auction.commands import Settle
from domain.auction.refusal import NOT_SOLD
from domain.ids import id_text
from persistence.postgres.errors import StoreError
from persistence.sales.selling import Settlement
from persistence.sales.settlement import Due, Failure

log = structlog.get_logger()

EVERY_S = 0.25
# After a store has failed.
RETRY_S = 1.0
# In one round: the host's inbox has room for their words, and what is kept may have changed after it.
ROUND_MAX = 100
ANSWER_WITHIN_S = 10.0


class Settles(Protocol):
    """Where auctions are settled (``persistence.sales.settlement``). May raise StoreError: then do the same again."""

    async def due(self, slots: Sequence[int], auctions: Sequence[int], limit: int) -> list[Due]:
        """Auctions of these slots, or among these, that have ended and are not done with."""

    async def settle_unsold(self, auctions: Sequence[int], now_ms: int) -> int:
        """Give back what nobody bought; of how many."""

    async def settle(self, auction: int, now_ms: int) -> Settlement | Failure | None:
        """Have the winner pay and get the copies; why not, where that can't be done; None where it was, or is being."""

    async def fail(self, failure: Failure) -> None:
        """Mark a sale as one that an operator has to look at."""

    async def done(self, auctions: Sequence[int]) -> None:
        """The logs of these say that they were paid for."""


class Keeps(Protocol):
    """The host."""

    ownership: Ownership

    def submit(self, request: Command, request_id: int, reply: Reply) -> None: ...


class Settler:
    """One round after the other: what is due is asked for anew each time, so nothing is lost with this process."""

    def __init__(
        self, settlements: Settles, host: Keeps, now_ms: Callable[[], int],
        released: Callable[[Sequence[int]], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """``released`` is told of auctions whose copies are not with them any more."""
        self._released = released
        self._settlements = settlements
        self._host = host
        self._now_ms = now_ms
        self._numbers = itertools.count(1)

    async def run(self) -> None:
        """Work for ever; faults of stores are waited out."""
        while True:
            pause = EVERY_S
            try:
                if await self.work_once():
                    pause = 0
            except (StoreError, TimeoutError) as error:
                log.warning("settlement_waits", error=str(error) or type(error).__name__)
                pause = RETRY_S
            except Exception:
                # A fault of ours, with one auction or with all of them: bids go on.
                log.exception("settlement_fault")
                pause = RETRY_S
            await asyncio.sleep(pause)

    async def work_once(self) -> bool:
        """Take what is due one step further, of some auctions; whether that did anything. Raises StoreError."""
        ownership = self._host.ownership
        if not (ownership.slots or ownership.dedicated):
            return False
        due = await self._settlements.due(sorted(ownership.slots), sorted(ownership.dedicated), ROUND_MAX)
        mine = [one for one in due if ownership.owns(one.auction)]
        unsold = [one.auction for one in mine if not one.sold]
        steps = 0
        if unsold:
            steps = await self._settlements.settle_unsold(unsold, self._now_ms())
            self._released(unsold)
        paid = {one.auction: one.paid for one in mine if one.paid is not None}
        if paid:
            steps += await self._say(paid)
        for one in mine:
            if one.sold and one.paid is None:
                steps += await self._settle(one.auction)
        return steps > 0

    async def _settle(self, auction: int) -> int:
        now_ms = self._now_ms()
        try:
            came_to = await self._settlements.settle(auction, now_ms)
        except StoreError:
            raise
        except Exception as fault:
            # A fault of ours with this auction. Nothing of it was done, and the others must not wait behind it.
            log.exception("settlement_fault", auction=auction)
            came_to = Failure(auction, "internal_error", repr(fault), now_ms, 1)
            await self._settlements.fail(came_to)
        if isinstance(came_to, Failure):
            log.error(
                "sale_failed", auction=id_text(auction), code=came_to.code, detail=came_to.detail,
                next_step="GET /api/v1/admin/settlements/failed",
            )  # fmt: skip
        elif came_to is not None:
            self._released([auction])
        return 0 if came_to is None else 1

    async def _say(self, paid: dict[int, Settle]) -> int:
        """Have the logs say that these were paid for; of how many. Those not answered now are asked again later."""
        waiting = [(auction, self._submit(command(auction, "auction", order))) for auction, order in paid.items()]
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answers = [(auction, await answer) for auction, answer in waiting]
        for auction, answer in answers:
            if isinstance(answer, Refused) and answer.code == NOT_SOLD:
                # The money is right, and the log says otherwise: nothing that trying again would change.
                log.error("settled_otherwise", auction=id_text(auction), next_step="ece verify")
        said = [a for a, answer in answers if not isinstance(answer, Refused) or answer.code == NOT_SOLD]
        if said:
            await self._settlements.done(said)
        return len(said)

    def _submit(self, order: Command) -> "asyncio.Future[Answer]":
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(_: int, answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        self._host.submit(order, next(self._numbers), reply)
        return answered
