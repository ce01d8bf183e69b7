"""The keeper of one auction: its state in memory, the only one that decides on it.

A keeper stages: it decides, chains and applies at once, and puts the rows into a batch. Nobody hears of what is
staged before the batch is in the log; when the append fails the host drops the keeper and loads a new one.
"""

from actors.batch import Batch, Order, SaleSettled, TickDue
from actors.messages import (
    Answer,
    Bid,
    BidAnswer,
    Buy,
    CloseNow,
    Create,
    GetState,
    Refused,
    Request,
    StateAnswer,
    Withdraw,
)
from domain.auction import codec
from domain.auction.commands import BuyNow, Cancel, CloseEarly, PlaceBid, Tick
from domain.auction.english import decide, list_auction
from domain.auction.events import BID_EVENTS, BidEvent, BoughtNow, Event
from domain.auction.refusal import Refusal
from domain.auction.state import Auction, Status, apply
from domain.auction.views import PublicState, outcome_of, public_state
from domain.errors import FORBIDDEN, KEY_REUSED
from persistence.event_log import EventRow, HeadRow, KeyedRow
from persistence.snapshots import Snapshot

RECENT_KEYS_MAX = 256

# A bidder's command key, and what is known of it: the amount that was bid, and the answer.
_Key = tuple[int, str]
_Known = tuple[int | None, BidAnswer]


def command_of(request: Bid | Buy) -> PlaceBid | BuyNow:
    """What a bidder's request orders an auction to do."""
    if isinstance(request, Bid):
        return PlaceBid(request.bidder, request.name, request.amount, request.key)
    return BuyNow(request.bidder, request.name, request.key)


class BrokenChain(Exception):
    """The log's tail does not continue its snapshot: rows are missing. An operator must look (``ece verify``)."""


class Keeper:
    """One auction. Memory does not grow with bids: the newest command keys stay, older ones are in the log."""

    __slots__ = (
        "_before_trial", "_recent", "_remembered", "at", "auction", "auction_id", "complete", "epoch", "hash",
        "last_used_ms", "needs_head", "placement", "seq", "slot", "snapshot_seq",
    )  # fmt: skip

    def __init__(self, auction_id: int, slot: int, epoch: int, placement: str = "shared") -> None:
        self.auction_id = auction_id
        self.slot = slot
        self.placement = placement
        self.epoch = epoch
        self.auction: Auction | None = None
        self.seq = 0
        self.at = 0
        self.hash = codec.first_hash(auction_id)
        self.snapshot_seq = 0
        self.last_used_ms = 0
        self.needs_head = False
        # Whether _recent holds every key that was ever used here.
        self.complete = True
        self._recent: dict[_Key, _Known] = {}
        # While something is tried: what it was before, and which keys came to be known, each with the one it drove out.
        self._before_trial: tuple[Auction | None, int, int, bytes, bool, bool] | None = None
        self._remembered: list[tuple[_Key, tuple[_Key, _Known] | None]] = []

    # -- trial

    def begin_trial(self) -> None:
        """What is staged from here on may be taken back."""
        self._before_trial = (self.auction, self.seq, self.at, self.hash, self.needs_head, self.complete)
        self._remembered = []

    def end_trial(self) -> None:
        """What was staged stands."""
        self._before_trial = None
        self._remembered = []

    def take_back(self) -> None:
        """Be as before the trial, and begin another. The batch has to forget what was staged, too."""
        assert self._before_trial is not None, "a trial has begun"
        self.auction, self.seq, self.at, self.hash, self.needs_head, self.complete = self._before_trial
        for key, driven_out in reversed(self._remembered):
            del self._recent[key]
            if driven_out is not None:
                self._recent = {driven_out[0]: driven_out[1], **self._recent}
        self._remembered = []

    # -- recovery

    def restore(self, snapshot: Snapshot) -> None:
        """Start from a snapshot; the tail follows."""
        self.auction = codec.decode_auction(snapshot.state)
        self.seq, self.at, self.hash = snapshot.seq, snapshot.at, snapshot.hash
        self.snapshot_seq = snapshot.seq
        self.complete = self.auction.bids == 0

    def replay(self, rows: list[EventRow]) -> None:
        """Apply the log's next rows. Raises BrokenChain."""
        for row in rows:
            if row.seq != self.seq + 1:
                raise BrokenChain(f"auction {self.auction_id}: row {self.seq + 1} is missing before {row.seq}")
            event = codec.decode_event(row.body)
            self.auction = apply(self.auction, event)
            self.seq, self.at, self.hash = row.seq, row.at, row.hash
            if isinstance(event, BID_EVENTS):
                self._remember(event, self._answer_of(event, row.epoch, row.seq, row.at))

    # -- orders

    @property
    def due_at(self) -> int | None:
        """When time alone changes this auction next (ms)."""
        return None if self.auction is None else self.auction.due_at

    @property
    def finished(self) -> bool:
        """Whether nothing will ever happen here again."""
        return self.auction is not None and self.auction.due_at is None

    @property
    def wants_own_host(self) -> bool:
        """Whether the seller asked for a host of its own, and it is of use."""
        return self.auction is not None and self.auction.terms.placement == "dedicated" and not self.finished

    @property
    def may_be_dedicated(self) -> bool:
        """Whether load may give it a host of its own."""
        return self.auction is not None and self.auction.terms.placement != "shared" and not self.finished

    def public(self, now_ms: int) -> PublicState:
        """The auction as everyone may see it."""
        assert self.auction is not None
        return public_state(self.auction, now_ms, self.placement)

    def stage(self, order: Order, batch: Batch) -> None:
        """Decide one client's order, and put its rows and its answer into the batch."""
        self.last_used_ms = batch.now_ms
        request = order.request
        answer: Answer
        match request:
            case Bid() | Buy():
                self._stage_keyed(request, order, batch)
                return
            case GetState():
                answer = self._state_answer(batch.now_ms)
            case Create():
                answer = self._stage_creation(request, batch)
            case Withdraw() | CloseNow():
                answer = self._stage_ending(request, batch)
            case SaleSettled():
                answer = self._stage_settlement(request, batch)
            case _:
                raise AssertionError(f"no order for a keeper: {request!r}")
        batch.answers.append((order, answer))

    def stage_tick(self, batch: Batch, outage: tuple[int, int] | None) -> None:
        """Open or close what is due at the batch's time."""
        assert self.auction is not None
        events = decide(self.auction, Tick(outage), self._time(batch))
        assert not isinstance(events, Refusal)
        self._take(events, None, batch)

    def known_answer(self, request: Bid | Buy, found: KeyedRow) -> Answer:
        """The answer to a retry whose first try the log has."""
        event = codec.decode_event(found.body)
        assert isinstance(event, BID_EVENTS)
        amount = event.maximum if not isinstance(event, BoughtNow) else None
        answer = self._answer_of(event, found.epoch, found.seq, found.at)
        return self._repeated(amount, answer, request.amount if isinstance(request, Bid) else None, found.at)

    def knows(self, request: Bid | Buy) -> bool:
        """Whether it is a retry that is answered from memory."""
        return (request.bidder, request.key) in self._recent

    def may_change(self, request: Request | TickDue | SaleSettled) -> bool:
        """Whether what the bids beside it come to may depend on this order."""
        return not isinstance(request, (GetState, TickDue, SaleSettled)) and not (
            self.auction is not None and isinstance(request, Create)
        )

    def _stage_keyed(self, request: Bid | Buy, order: Order, batch: Batch) -> None:
        amount = request.amount if isinstance(request, Bid) else None
        known = self._recent.get((request.bidder, request.key))
        if known is not None:
            batch.answers.append((order, self._repeated(known[0], known[1], amount, batch.now_ms)))
            return
        events, becomes = self._decided(request, order, batch)
        if isinstance(events, Refusal):
            refused = self._refused(events, batch.now_ms)
            (batch.answers if self.complete else batch.doubtful).append((order, refused))
            return
        self._take(events, codec.command_key(request.bidder, request.key), batch, becomes)
        first = events[0]
        assert isinstance(first, BID_EVENTS)
        answer = self._answer_of(first, self.epoch, self.seq - len(events) + 1, self.at)
        self._remember(first, answer)
        batch.answers.append((order, answer))

    def _decided(self, request: Bid | Buy, order: Order, batch: Batch) -> tuple[list[Event] | Refusal, Auction | None]:
        """What a bid comes to, and the auction after it where that is known: where all came as it was foreseen."""
        assert self.auction is not None
        foreseen, at = order.foreseen, self._time(batch)
        if foreseen is not None and foreseen.was is self.auction and foreseen.at == at:
            return foreseen.outcome, foreseen.becomes
        return decide(self.auction, command_of(request), at), None

    def _stage_creation(self, request: Create, batch: Batch) -> Answer:
        if self.auction is None:
            self._take(list_auction(request.terms, self._time(batch)), None, batch)
            return self._state_answer(batch.now_ms)
        if self.auction.terms != request.terms:
            return Refused(KEY_REUSED, batch.now_ms)
        return self._state_answer(batch.now_ms, duplicate=True)

    def _stage_ending(self, request: Withdraw | CloseNow, batch: Batch) -> Answer:
        assert self.auction is not None
        if isinstance(request, Withdraw):
            if request.by != self.auction.terms.seller and not request.by_operator:
                return Refused(FORBIDDEN, batch.now_ms)
            done = self.auction.status is Status.CANCELLED
            command: Cancel | CloseEarly = Cancel(request.by)
        else:
            done = self.auction.status is Status.CLOSED
            command = CloseEarly(request.by)
        if done:
            return self._state_answer(batch.now_ms, duplicate=True)
        events = decide(self.auction, command, self._time(batch))
        if isinstance(events, Refusal):
            return self._refused(events, batch.now_ms)
        self._take(events, None, batch)
        return self._state_answer(batch.now_ms)

    def _stage_settlement(self, request: SaleSettled, batch: Batch) -> Answer:
        assert self.auction is not None
        events = decide(self.auction, request.paid, self._time(batch))
        if isinstance(events, Refusal):
            return self._refused(events, batch.now_ms)
        self._take(events, None, batch)
        return self._state_answer(batch.now_ms, duplicate=not events)

    def _take(
        self, events: list[Event], command_key: bytes | None, batch: Batch, becomes: Auction | None = None
    ) -> None:
        """Chain and apply events, and put their rows into the batch; the key goes with the first.

        ``becomes``: the auction after them, where they were applied before.
        """
        if not events:
            return
        auction, seq, digest = self.auction, self.seq, self.hash
        at = self._time(batch)
        rows, staged = [], []
        before = auction
        for event in events:
            body = codec.encode_event(event)
            seq += 1
            digest = codec.next_hash(digest, self.epoch, seq, at, body)
            auction = apply(auction, event) if becomes is None else becomes
            rows.append(EventRow(self.auction_id, seq, self.epoch, at, command_key, body, digest))
            staged.append((seq, at, event))
            command_key = None
        assert auction is not None, "events make an auction"
        # From here on nothing can fail: a fault above leaves keeper and batch as they were.
        self.auction, self.seq, self.at, self.hash = auction, seq, at, digest
        changed = before is None or (before.status, before.settled) != (auction.status, auction.settled)
        self.needs_head = self.needs_head or changed
        batch.rows += rows
        batch.touched.setdefault(self, []).extend(staged)

    def _time(self, batch: Batch) -> int:
        """When an order is decided: an auction's time never steps back, though a new host's clock may be behind."""
        return max(batch.now_ms, self.at)

    def _remember(self, event: BidEvent, answer: BidAnswer) -> None:
        amount = None if isinstance(event, BoughtNow) else event.maximum
        key, driven_out = (event.bidder, event.key), None
        self._recent[key] = (amount, answer)
        if len(self._recent) > RECENT_KEYS_MAX:
            oldest = next(iter(self._recent))
            driven_out = (oldest, self._recent.pop(oldest))
            self.complete = False
        if self._before_trial is not None:
            self._remembered.append((key, driven_out))

    # -- answers

    @staticmethod
    def _answer_of(event: BidEvent, epoch: int, seq: int, at: int) -> BidAnswer:
        return BidAnswer(epoch, seq, at, outcome_of(event), event.price, event.minimum, event.ends_at)

    @staticmethod
    def _repeated(first: int | None, answer: BidAnswer, second: int | None, now_ms: int) -> Answer:
        if first != second:
            return Refused(KEY_REUSED, now_ms)
        return BidAnswer(
            answer.epoch, answer.seq, answer.at, answer.outcome, answer.price, answer.minimum, answer.ends_at, True
        )

    @staticmethod
    def _refused(refusal: Refusal, now_ms: int) -> Refused:
        return Refused(refusal.code, now_ms, refusal.price, refusal.minimum)

    def _state_answer(self, now_ms: int, *, duplicate: bool = False) -> StateAnswer:
        return StateAnswer(self.epoch, self.seq, self.public(now_ms), duplicate)

    # -- what goes to the stores

    def snapshot(self) -> Snapshot:
        """The present state, to be saved. Only call this when nothing is staged."""
        assert self.auction is not None
        state = codec.encode_auction(self.auction)
        return Snapshot(self.auction_id, self.seq, self.epoch, self.at, self.hash, state)

    def head(self) -> HeadRow:
        """The read model's row."""
        assert self.auction is not None
        auction, terms, public = self.auction, self.auction.terms, self.public(self.at)
        return HeadRow(
            auction=self.auction_id,
            slot=self.slot,
            seller=terms.seller,
            seller_name=terms.seller_name,
            title=terms.title,
            format=terms.format,
            status=public.status,
            placement=public.placement,
            price=public.price,
            minimum=public.minimum,
            leader=auction.leader,
            leader_name=auction.leader_name,
            winner=auction.winner,
            bids=auction.bids,
            reserve=public.reserve,
            buy_now=public.buy_now,
            starts_at=terms.starts_at,
            ends_at=auction.ends_at,
            closed_reason=auction.closed_reason,
            due_at=auction.due_at,
            epoch=self.epoch,
            seq=self.seq,
        )
