"""Sends signed transactions until their outcome is final, and records it.

Transactions of actors that have died are taken over: this needs no key.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec
import structlog

from actors.minting.ports import Chain, Final
from domain.minting.landing import Seen, Step, next_step
from persistence.chain.counts import PoolCounts
from persistence.chain.jobs import ChainJobs, Effects
from persistence.chain.rows import OpenTransaction, Outcome

log = structlog.get_logger()

# The same bytes are sent again after this time, until they are in a block.
RESEND_S = 2.0
# Looked up at once; as many as getSignatureStatuses takes.
STATUSES_MAX = 256
SENDS_AT_ONCE_MAX = 16
TAKE_MAX = 128
OUTCOMES_MAX = 256
_ENDS = {Step.LANDED: "landed", Step.FAILED: "failed", Step.EXPIRED: "expired"}


class InFlight(msgspec.Struct):
    """A transaction that is sent until its outcome is final. ``block``: the slot in which it was seen last."""

    transaction: OpenTransaction
    sent_at: float = 0.0
    sends: int = 0
    block: int | None = None


class Follower:
    """The transactions that belong to one actor. ``counts``: since the start."""

    def __init__(
        self, jobs: ChainJobs, chain: Chain, effects: Effects, worker: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._jobs = jobs
        self._chain = chain
        self._effects = effects
        self._worker = worker
        self._clock = clock
        self._open: dict[int, InFlight] = {}
        self._extended_at = clock()
        self.counts = PoolCounts()

    @property
    def in_flight(self) -> int:
        """How many transactions have no final outcome yet."""
        return len(self._open)

    async def add(self, transactions: Sequence[OpenTransaction]) -> None:
        """Send these, which are stored, for the first time. May raise ChainFault."""
        added = [InFlight(one) for one in transactions]
        self._open |= {one.transaction.id: one for one in added}
        await self._send(added)

    async def follow(self) -> None:
        """Look at everything that is in flight once. May raise ChainFault and StoreUnavailable."""
        await self._extend()
        final = await self._chain.final()
        wanted = [one for one in self._open.values() if one.block is None or one.block <= final.slot]
        ended: list[tuple[InFlight, Outcome]] = []
        to_send: list[InFlight] = []
        appeared: list[int] = []
        for first in range(0, len(wanted), STATUSES_MAX):
            page = wanted[first : first + STATUSES_MAX]
            for one, seen, step in await self._looked_at(page, final):
                if seen is not None and seen.error is None and one.block is None:
                    appeared.append(one.transaction.id)
                one.block = None if seen is None else seen.slot
                if step in _ENDS:
                    ended.append((one, _outcome(one.transaction, step, seen)))
                elif step is Step.SEND and self._clock() - one.sent_at >= RESEND_S:
                    to_send.append(one)
        await self._jobs.release(appeared)
        await self._finish(ended)
        await self._send(to_send)

    async def take_over(self, room: int) -> int:
        """Take transactions whose actor is gone; returns how many. May raise StoreUnavailable."""
        taken = await self._jobs.take(self._worker, min(room, TAKE_MAX)) if room > 0 else []
        for one in taken:
            self._open.setdefault(one.id, InFlight(one))
        return len(taken)

    async def _looked_at(self, page: Sequence[InFlight], final: Final) -> list[tuple[InFlight, Seen | None, Step]]:
        """The next step of each. What seems to have expired is looked up in the whole history before it counts."""
        known = await self._chain.seen([one.transaction.signature for one in page])
        steps = {
            one.transaction.id: (one, seen, _step(one, seen, final, searched=False))
            for one, seen in zip(page, known, strict=True)
        }
        missing = [one for one, _, step in steps.values() if step is Step.SEARCH]
        if missing:
            signatures = [one.transaction.signature for one in missing]
            found = await self._chain.seen(signatures, search_history=True)
            for one, seen in zip(missing, found, strict=True):
                steps[one.transaction.id] = (one, seen, _step(one, seen, final, searched=True))
        return list(steps.values())

    async def _finish(self, ended: Sequence[tuple[InFlight, Outcome]]) -> None:
        for first in range(0, len(ended), OUTCOMES_MAX):
            page = ended[first : first + OUTCOMES_MAX]
            outcomes = [outcome for _, outcome in page]
            for outcome in outcomes:
                if outcome.state != "landed":
                    log.warning("transaction_ended", state=outcome.state, error=outcome.error)
            self.counts.done(await self._jobs.finish(outcomes, self._effects))
            for outcome in outcomes:
                self.counts.ended[outcome.state] += 1
            for one, _ in page:
                self._open.pop(one.transaction.id, None)

    async def _send(self, waiting: Sequence[InFlight]) -> None:
        """May raise ChainFault, after what was sent before is counted."""
        for first in range(0, len(waiting), SENDS_AT_ONCE_MAX):
            page = waiting[first : first + SENDS_AT_ONCE_MAX]
            for one in page:
                one.sent_at = self._clock()
                one.sends += 1
                self.counts.sends += 1
            sends = (self._chain.send(one.transaction.raw) for one in page)
            for failure in await asyncio.gather(*sends, return_exceptions=True):
                # Whether it arrived is unknown: the same bytes are sent again later.
                if isinstance(failure, BaseException):
                    raise failure

    async def _extend(self) -> None:
        if self._clock() - self._extended_at < self._jobs.send_lease_ms / 3000:
            return
        sends = {one.transaction.id: one.sends for one in self._open.values()}
        await self._jobs.extend(self._worker, sends)
        for one in self._open.values():
            one.sends = 0
        self._extended_at = self._clock()


def _step(one: InFlight, seen: Seen | None, final: Final, *, searched: bool) -> Step:
    return next_step(seen, final.height, one.transaction.last_valid_height, searched=searched)


def _outcome(transaction: OpenTransaction, step: Step, seen: Seen | None) -> Outcome:
    slot, error = (None, None) if seen is None else (seen.slot, seen.error)
    return Outcome(transaction.id, _ENDS[step], slot, error)
