"""Sees cards that come back into custody."""

from collections.abc import Callable, Sequence
from typing import Protocol

from actors.workers.job import Job, Later, Retry
from persistence.jobs.store import Claimed
from persistence.wallets.cards import CardArrival, Cards, WithdrawnCard

# A card takes a request of its own.
CARDS_PER_RUN = 25


class CardHolders(Protocol):
    """What is read of the chain, all of it final. May raise ChainUnavailable."""

    async def holders(self, assets: Sequence[str]) -> Sequence[tuple[str | None, int]]:
        """The wallet that holds each asset, and as of which slot; None if nobody does."""

    async def in_reach(self, held: Sequence[tuple[str, str, str]]) -> Sequence[bool]:
        """For each (standard, asset, wallet): whether a transfer from this wallet would find the asset."""


class CustodialAddresses(Protocol):
    """``persistence.wallets.custody.CustodialWallets``."""

    async def users_of(self, addresses: Sequence[str]) -> dict[str, int]: ...


class FollowCards(Job):
    """Periodic: one run asks for the holders of some cards outside of custody, in turn."""

    kind = "follow_cards"
    every_ms = 5_000
    timeout_s = 120.0
    # The chain may be out for a while; then it goes on soon.
    retry = Retry(longest_ms=15_000)

    def __init__(
        self, cards: Cards, wallets: CustodialAddresses, chain: CardHolders, now_ms: Callable[[], int]
    ) -> None:
        self._cards = cards
        self._wallets = wallets
        self._chain = chain
        self._now_ms = now_ms
        self._after_copy = 0

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        page = await self._cards.outside(self._after_copy, CARDS_PER_RUN)
        if page:
            await self._look_at(page)
        self._after_copy = page[-1].copy if len(page) == CARDS_PER_RUN else 0
        return []

    async def _look_at(self, cards: Sequence[WithdrawnCard]) -> None:
        found = await self._chain.holders([card.asset for card in cards])
        held = [(card, holder, slot) for card, (holder, slot) in zip(cards, found, strict=True) if holder]
        ours = await self._wallets.users_of(sorted({holder for _, holder, _ in held}))
        back = [(card, holder, slot) for card, holder, slot in held if holder in ours]
        # One that no transfer finds could be sold, and never be given to who has bought it.
        movable = await self._chain.in_reach([(card.standard, card.asset, holder) for card, holder, _ in back])
        arrivals = [
            CardArrival(card.copy, holder, slot)
            for (card, holder, slot), reached in zip(back, movable, strict=True)
            if reached
        ]
        await self._cards.arrived(arrivals, self._now_ms())
