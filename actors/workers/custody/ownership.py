"""Follows who has the minted cards, and ends auctions whose card is gone."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from actors.stream.messages import Answer, Command, Refused, command
from actors.workers.job import Job, Later, Retry
from actors.workers.settle import AUCTION, Hosts
from domain.auction.commands import Cancel, CloseEarly
from domain.errors import HAS_BIDS, OVERLOADED, UNAVAILABLE
from domain.ids import id_text, parse_id
from domain.minting.custody import NOBODY
from persistence.jobs.store import Claimed
from persistence.minting.ownership import END_LISTING, Holding, SeenHolder

log = structlog.get_logger()

# Of one run: ten requests to the chain where nothing has moved.
CARDS_PER_RUN = 1_000
AGAIN_MS = 500
ANSWER_WITHIN_S = 10.0
TRY_AGAIN = (OVERLOADED, UNAVAILABLE)


class KnowsHoldings(Protocol):
    """``persistence.minting.ownership.Ownership``. May raise StoreUnavailable."""

    async def page(self, after_copy: int, limit: int) -> list[Holding]: ...
    async def moved_outside(self, seen: Sequence[SeenHolder], now_ms: int) -> list[int]: ...


class ReadsHolders(Protocol):
    """``chain.wallets.holdings.Holdings``. All of it is final. May raise ChainError."""

    async def holders(self, held: Sequence[tuple[str, str, str]]) -> Sequence[tuple[str | None, int]]:
        """For each (standard, asset, known holder): the wallet that has it, and as of which slot."""


class FollowOwnership(Job):
    """Periodic: one run compares some cards with the chain, in turn."""

    kind = "follow_ownership"
    every_ms = 5_000
    timeout_s = 120.0
    # The chain may be out for a while; then it goes on soon.
    retry = Retry(longest_ms=15_000)

    def __init__(self, ownership: KnowsHoldings, chain: ReadsHolders, now_ms: Callable[[], int]) -> None:
        self._ownership = ownership
        self._chain = chain
        self._now_ms = now_ms
        self._after_copy = 0

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        page = await self._ownership.page(self._after_copy, CARDS_PER_RUN)
        still = [one for one in page if not one.moving]
        found = await self._chain.holders([(one.standard, one.asset, one.holder) for one in still])
        moved = [moved_without_us(one, holder, slot) for one, (holder, slot) in zip(still, found, strict=True)]
        await record_moved(self._ownership, [one for one in moved if one is not None], self._now_ms())
        self._after_copy = page[-1].copy if len(page) == CARDS_PER_RUN else 0
        return []


def moved_without_us(known: Holding, holder: str | None, slot: int) -> SeenHolder | None:
    """What the chain says of a card, if it is news. Cards that we move are looked at when they have arrived."""
    if holder is None or holder == known.holder or slot <= known.slot or known.moving:
        return None
    return SeenHolder(known.copy, holder, slot)


async def record_moved(ownership: KnowsHoldings, seen: Sequence[SeenHolder], now_ms: int) -> None:
    """Their new holders own them. May raise StoreUnavailable."""
    for copy in await ownership.moved_outside(seen, now_ms) if seen else []:
        log.warning("card_moved_outside", copy=id_text(copy), next_step="ece chain audit")


class EndListings(Job):
    """``key``: the id of an auction that can't be honoured any more. Without bids it is cancelled, else it closes now.

    The sale of a closed one is then cancelled, since its copies are gone: the winner's money is released.
    """

    kind = END_LISTING

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        answers = await asyncio.gather(*(self._end(parse_id(job.key)) for job in jobs))
        return [
            Later(job, AGAIN_MS)
            for job, answer in zip(jobs, answers, strict=True)
            if isinstance(answer, Refused) and answer.code in TRY_AGAIN
        ]

    async def _end(self, auction: int) -> Answer:
        answer = await self._hosts.ask(_order(auction, Cancel(NOBODY, True)), ANSWER_WITHIN_S)
        if isinstance(answer, Refused) and answer.code == HAS_BIDS:
            answer = await self._hosts.ask(_order(auction, CloseEarly(NOBODY)), ANSWER_WITHIN_S)
        return answer


def _order(auction: int, order: Cancel | CloseEarly) -> Command:
    return command(auction, AUCTION, order)
