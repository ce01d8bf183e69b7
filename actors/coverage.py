"""What is held for the bids of a host: who may become the leader is covered before anything is decided.

Before a batch is decided its bids are played through on the side. Each bidder has to have what they offer; but only
who leads in the end needs a hold, so the others are asked for it and nothing is written for them. What came of it
stays with the orders: their keepers decide again only what came otherwise. They do so while the ledger is asked
(``Trial``), since nearly always everybody can pay. Who led before is let go of once the log has
the batch: with the next batch, or at once where there is none.

Only one batch at a time is at work, and nothing else touches these holds but the end of a sale. A hold that was placed
by a host that died, or for a batch that was lost, is found when the auction is loaded (``check``), or in time by rote.

Another host may keep an auction by now, and its holds be for newer bids. So letting go names the most that it is about,
and what is held is compared with a state only between batches, and while the directory vouches for us.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from actors.batch import Batch, Foreseen, Order
from actors.holds import Holds
from actors.keeper import Keeper, command_of
from actors.messages import Bid, Buy, Refused
from actors.trial import Trial
from domain.auction.codec import command_key
from domain.auction.english import decide
from domain.auction.events import BID_EVENTS
from domain.auction.refusal import Refusal
from domain.auction.state import Auction, apply
from domain.errors import INSUFFICIENT_FUNDS
from domain.ledger.ids import held_for_auction
from domain.ledger.rules import Cover, asked
from persistence.errors import StoreError
from persistence.event_log import KeyedRow
from persistence.ledger import HeldFor

log = structlog.get_logger()

CHECKS_A_BATCH_MAX = 500
# Beyond this, letting go waits in the auctions themselves: they are checked.
LETTING_GO_MAX = 10_000

Ready = Sequence[tuple[Order, Keeper]]
Stage = Callable[[Ready], None]


class NotHeld(Exception):
    """A leader without a hold was about to be written: a fault of ours, and nothing may be written."""


@dataclass(slots=True)
class _Play:
    """What the bids of one auction need, as it is before them.

    ``held``: the most that may be held for whom, once the batch is covered.
    """

    keeper: Keeper
    auction: Auction | None
    leader: int | None
    leader_maximum: int
    orders: list[Order] = field(default_factory=list)
    wanted: list[tuple[Order | None, Cover]] = field(default_factory=list)
    held: dict[int, int] = field(default_factory=dict)
    uncovered: bool = False


class Coverage:
    """Without ``holds`` nothing is held, and nobody refused: for a host whose auctions are about no money."""

    def __init__(self, holds: Holds | None) -> None:
        self._holds = holds
        self._plays: dict[int, _Play] = {}
        self._letting_go: dict[tuple[int, int], Cover] = {}
        self._unchecked: dict[int, None] = {}

    # -- one batch

    async def cover(
        self,
        ready: Ready,
        found: Mapping[tuple[int, bytes], KeyedRow],
        batch: Batch,
        unavailable: Refused,
        stage: Stage,
    ) -> None:
        """Hold what the bids need, and have everything staged but the bids that are not covered: those are answered.

        Where nobody can tell, all bids are answered ``unavailable``.
        """
        self._plays = {}
        if self._holds is None or not any(isinstance(order.request, (Bid, Buy)) for order, _ in ready):
            stage(ready)
            return
        ready = _priced(ready, batch, unavailable)
        plays = self._played(ready, found, batch.now_ms)
        wanted = [play for play in plays.values() if play.wanted]
        trial = Trial(batch, (keeper for _, keeper in ready))
        try:
            short = await self._meanwhile(lambda: stage(ready), wanted)
        except StoreError as error:
            log.error("holds_failed", error=str(error))
            trial.take_back()
            for order, keeper in ready:
                if isinstance(order.request, (Bid, Buy)):
                    self.check(keeper)
                    batch.answers.append((order, unavailable))
            stage([(order, keeper) for order, keeper in ready if not isinstance(order.request, (Bid, Buy))])
        else:
            self._plays = plays
            if short:
                trial.take_back()
                stage([(order, keeper) for order, keeper in ready if not _refuse(order, keeper, short, batch)])
        trial.keep()

    def verify(self) -> None:
        """Raise NotHeld if a leader of this batch is not covered."""
        for play in self._plays.values():
            auction = play.keeper.auction
            if auction is None or auction.leader is None:
                continue
            moved = (auction.leader, auction.leader_maximum) != (play.leader, play.leader_maximum)
            if moved and play.held.get(auction.leader, 0) < auction.leader_maximum:
                raise NotHeld(f"auction {play.keeper.auction_id}: leader {auction.leader}")

    def decided(self, batch: Batch, forgotten: Iterable[int] = ()) -> None:
        """What the batch decided stands: let go of those who don't lead. ``forgotten`` ones are checked when loaded."""
        plays, self._plays = self._plays, {}
        if self._holds is None:
            return
        gone = set(forgotten)
        for auction_id, play in plays.items():
            auction = play.keeper.auction
            if auction_id not in gone and auction is not None:
                self._let_go_of_others(play, auction)
        for keeper in batch.touched:
            auction = keeper.auction
            if auction is not None and auction.leader is not None and _owes_nothing(auction):
                self._let_go(keeper, auction.leader, auction.leader_maximum, 0)

    # -- between batches

    def check(self, keeper: Keeper) -> None:
        """Have what is held for this auction compared with what its log says, between two batches."""
        if self._holds is not None:
            self._unchecked[keeper.auction_id] = None

    @property
    def behind(self) -> bool:
        """Whether there is something to let go of that no batch has taken along yet."""
        return bool(self._letting_go)

    @property
    def unchecked(self) -> bool:
        """Whether there is an auction to check."""
        return bool(self._unchecked)

    async def let_go(self) -> None:
        """Let go, apart from any batch. Raises StoreError: then it is still to be done."""
        if self._letting_go:
            await self._covered([])

    async def check_some(self, keepers: Mapping[int, Keeper], vouched_for: Callable[[], bool]) -> None:
        """Compare what is held for some auctions with their states, and bring it there. Only while nothing is staged.

        Those that are no longer in memory are checked when they are loaded; nothing is done while ``vouched_for`` says
        no, for another host may have moved on. Raises StoreError: then it is still to be done.
        """
        assert self._holds is not None
        for auction_id in [auction_id for auction_id in self._unchecked if auction_id not in keepers]:
            del self._unchecked[auction_id]
        some = [keepers[auction_id] for auction_id in list(self._unchecked)[:CHECKS_A_BATCH_MAX]]
        if not some or not vouched_for():
            return
        held = await self._holds.held_for([keeper.auction_id for keeper in some])
        if not vouched_for():
            return
        await self._ask(_corrections(some, held), [])
        for keeper in some:
            self._unchecked.pop(keeper.auction_id, None)

    async def close(self) -> None:
        """Let go of what there is to let go of, and close the way to the ledger."""
        if self._holds is None:
            return
        try:
            while self._letting_go:
                await self.let_go()
        except StoreError as error:
            log.warning("holds_left", count=len(self._letting_go), error=str(error))
        await self._holds.close()

    # -- the plan

    def _played(self, ready: Ready, found: Mapping[tuple[int, bytes], KeyedRow], now_ms: int) -> dict[int, _Play]:
        plays: dict[int, _Play] = {}
        plain: dict[int, bool] = {}
        for order, keeper in ready:
            request = order.request
            play = plays.get(keeper.auction_id)
            if play is None:
                auction = keeper.auction
                leader, maximum = (None, 0) if auction is None else (auction.leader, auction.leader_maximum)
                play = plays[keeper.auction_id] = _Play(keeper, auction, leader, maximum)
                plain[keeper.auction_id] = auction is not None
            if not isinstance(request, (Bid, Buy)):
                plain[keeper.auction_id] = plain[keeper.auction_id] and not keeper.may_change(request)
            elif not (keeper.knows(request) or (found and (request.auction, _key(request)) in found)):
                play.orders.append(order)
        for auction_id, play in plays.items():
            if plain[auction_id]:
                _play_through(play, now_ms)
            else:
                _hold_all(play)
        return plays

    async def _meanwhile(self, work: Callable[[], None], plays: list[_Play]) -> dict[int, tuple[Order, int, int]]:
        """``_covered``, and this work while the ledger is at it."""
        if not (plays or self._letting_go):
            work()
            return {}
        covering = asyncio.create_task(self._covered(plays))
        try:
            # It is on its way before the work begins.
            await asyncio.sleep(0)
            work()
            return await covering
        finally:
            covering.cancel()

    async def _covered(self, plays: list[_Play]) -> dict[int, tuple[Order, int, int]]:
        """Bring everything to where it should be. Returns, by ``id`` of the order, who has what and needs what."""
        letting_go = list(self._letting_go.items())
        short = await self._ask([cover for _, cover in letting_go], plays)
        for key, cover in letting_go:
            if self._letting_go.get(key) is cover:
                del self._letting_go[key]
        uncovered = [play for play in plays if play.uncovered]
        if uncovered:
            # What was played through did not come to pass: now anybody may lead.
            for play in uncovered:
                play.orders = [order for order in play.orders if id(order) not in short]
                _hold_all(play)
            short |= await self._ask([], uncovered)
        return short

    async def _ask(self, first: list[Cover], plays: list[_Play]) -> dict[int, tuple[Order, int, int]]:
        assert self._holds is not None
        wanted: list[tuple[Order | None, Cover]] = [(None, cover) for cover in first]
        owners: list[_Play | None] = [None] * len(wanted)
        for play in plays:
            wanted += play.wanted
            owners += [play] * len(play.wanted)
        if not wanted:
            return {}
        short: dict[int, tuple[Order, int, int]] = {}
        for index, refusal in (await self._holds.cover([cover for _, cover in wanted])).items():
            order, owner = wanted[index][0], owners[index]
            if owner is not None:
                owner.uncovered = True
            if order is None:
                log.error("leader_not_covered", wanted=wanted[index][1].at_least, next_step="ece ledger check")
            else:
                short[id(order)] = (order, refusal.available or 0, refusal.required or 0)
        return short

    # -- letting go

    def _let_go_of_others(self, play: _Play, auction: Auction) -> None:
        for bidder, most in play.held.items():
            keep = _kept(auction, bidder)
            if most > keep:
                self._let_go(play.keeper, bidder, most, keep)

    def _let_go(self, keeper: Keeper, bidder: int, most: int, keep: int) -> None:
        if len(self._letting_go) >= LETTING_GO_MAX:
            self.check(keeper)
            return
        cover = Cover(held_for_auction(keeper.auction_id), bidder, 0, keep, most)
        known = self._letting_go.get((keeper.auction_id, bidder))
        if known is not None and known.unless_above is not None and known.unless_above > most:
            cover = Cover(cover.reference, bidder, 0, keep, known.unless_above)
        self._letting_go[keeper.auction_id, bidder] = cover


def _priced(ready: Ready, batch: Batch, unavailable: Refused) -> Ready:
    """Without those who want to buy what is only being listed: nobody knows yet what they would have to have."""
    unpriced = [order for order, keeper in ready if keeper.auction is None and isinstance(order.request, Buy)]
    if not unpriced:
        return ready
    batch.answers += [(order, unavailable) for order in unpriced]
    return [(order, keeper) for order, keeper in ready if keeper.auction is not None or order not in unpriced]


def _play_through(play: _Play, now_ms: int) -> None:
    """Decide the bids on the side. Who is refused anyway needs nothing, who leads in the end a hold that stays."""
    keeper, auction = play.keeper, play.auction
    assert auction is not None
    at, offers = max(now_ms, keeper.at), dict[int, tuple[int, Order]]()
    for order in play.orders:
        request, was = order.request, auction
        assert isinstance(request, (Bid, Buy))
        events = decide(auction, command_of(request), at)
        if not isinstance(events, Refusal):
            offer = events[0]
            assert isinstance(offer, BID_EVENTS)
            if offer.bidder not in offers or offers[offer.bidder][0] < offer.maximum:
                offers[offer.bidder] = (offer.maximum, order)
            for event in events:
                auction = apply(auction, event)
        order.foreseen = Foreseen(was, at, events, auction)
    _ask_for(offers, play, auction.leader)


def _ask_for(offers: Mapping[int, tuple[int, Order]], play: _Play, leader: int | None) -> None:
    """Ask for the most that each of the bidders offers; only for who leads in the end is it held."""
    reference = held_for_auction(play.keeper.auction_id)
    if play.leader is not None:
        play.held[play.leader] = play.leader_maximum
    for bidder, (most, order) in offers.items():
        if bidder == leader:
            play.wanted.append((order, Cover(reference, bidder, most)))
            play.held[bidder] = max(most, play.held.get(bidder, 0))
        else:
            play.wanted.append((order, asked(reference, bidder, most)))


def _hold_all(play: _Play) -> None:
    """Hold what each of the bids offers: whatever becomes of the others, any of them may lead."""
    reference, auction = held_for_auction(play.keeper.auction_id), play.auction
    play.wanted, play.uncovered = [], False
    play.held = {play.leader: play.leader_maximum} if play.leader is not None else {}
    if auction is not None and auction.ended:
        # They are refused. And a hold of a winner who has paid would be let go of by nobody.
        return
    for order in play.orders:
        request = order.request
        assert isinstance(request, (Bid, Buy))
        amount = request.amount if isinstance(request, Bid) else None if auction is None else auction.buy_now_price
        if amount is not None:
            play.wanted.append((order, Cover(reference, request.bidder, amount)))
            play.held[request.bidder] = max(amount, play.held.get(request.bidder, 0))


def _corrections(checked: list[Keeper], held: Iterable[tuple[int, HeldFor]]) -> list[Cover]:
    """What brings the holds of these auctions to what their states say.

    The hold of a winner is never raised: it may have been settled.
    """
    auctions = {keeper.auction_id: keeper.auction for keeper in checked if keeper.auction is not None}
    covers = []
    for auction_id, hold in held:
        auction = auctions.get(auction_id)
        keep = 0 if auction is None else _kept(auction, hold.owner)
        if auction is not None and hold.amount > keep:
            covers.append(Cover(hold.reference, hold.owner, 0, keep, hold.amount))
    for auction_id, auction in auctions.items():
        if auction.leader is not None and not auction.ended:
            covers.append(Cover(held_for_auction(auction_id), auction.leader, auction.leader_maximum))
    return covers


def _kept(auction: Auction, bidder: int) -> int:
    """What is to be held for a bidder, by the auction's state."""
    return auction.leader_maximum if bidder == auction.leader and not _owes_nothing(auction) else 0


def _owes_nothing(auction: Auction) -> bool:
    """Whether it has ended, and its leader has nothing to pay, or has paid."""
    return auction.ended and (auction.winner is None or auction.settled)


def _refuse(order: Order, keeper: Keeper, short: Mapping[int, tuple[Order, int, int]], batch: Batch) -> bool:
    """Answer a bid that is not covered; where memory has forgotten keys it may be a retry of one that was."""
    known = short.get(id(order))
    if known is None:
        return False
    answer = Refused(INSUFFICIENT_FUNDS, batch.now_ms, available=known[1], required=known[2])
    (batch.answers if keeper.complete else batch.doubtful).append((order, answer))
    return True


def _key(request: Bid | Buy) -> bytes:
    return command_key(request.bidder, request.key)
