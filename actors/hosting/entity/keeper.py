"""One auction in a host's memory: the state that the log gives, and the newest command keys.

It decides nothing: a batch decides on an overlay (``actors.hosting.entity.overlay``), and what the log then has is
installed here.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from actors.stream.messages import Answer, Bid, BidAnswer, Buy, Refused
from domain.auction.commands import BuyNow, PlaceBid
from domain.auction.events import BID_EVENTS, BidEvent, BoughtNow
from domain.auction.state import Auction, apply
from domain.auction.views import PublicState, outcome_of, public_state
from domain.errors import KEY_REUSED
from domain.log import codec
from persistence.log.event_log import EventRow, HeadRow, KeyedRow
from persistence.log.snapshots import Snapshot

RECENT_KEYS_MAX = 256

UserKey = tuple[int, str]
"""A user and the key of a command of theirs."""

Known = tuple[int | None, BidAnswer]
"""What became of a command: the amount that was bid, and the answer."""


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
        "_recent", "at", "auction", "auction_id", "complete", "epoch", "hash", "last_used_ms", "placement", "seq",
        "slot", "snapshot_seq",
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
        # Whether _recent holds every key that was ever used here.
        self.complete = True
        self._recent: dict[UserKey, Known] = {}

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
                amount = None if isinstance(event, BoughtNow) else event.maximum
                self._remember((event.bidder, event.key), (amount, answer_of(event, row.epoch, row.seq, row.at)))

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

    def known(self, key: UserKey) -> Known | None:
        """What memory has of this command: then it is a retry."""
        return self._recent.get(key)

    def known_answer(self, request: Bid | Buy, found: KeyedRow) -> Answer:
        """The answer to a retry whose first try the log has."""
        event = codec.decode_event(found.body)
        assert isinstance(event, BID_EVENTS)
        amount = event.maximum if not isinstance(event, BoughtNow) else None
        answer = answer_of(event, found.epoch, found.seq, found.at)
        return repeated((amount, answer), request.amount if isinstance(request, Bid) else None, found.at)

    def install(
        self, auction: Auction | None, seq: int, at: int, digest: bytes, known: Iterable[tuple[UserKey, Known]]
    ) -> None:
        """From now on this is what it is: the log has it, up to the event ``seq``."""
        self.auction, self.seq, self.at, self.hash = auction, seq, at, digest
        for key, answer in known:
            self._remember(key, answer)

    def _remember(self, key: UserKey, known: Known) -> None:
        self._recent[key] = known
        if len(self._recent) > RECENT_KEYS_MAX:
            del self._recent[next(iter(self._recent))]
            self.complete = False

    # -- what goes to the stores

    def snapshot(self) -> Snapshot:
        """The present state, to be saved."""
        assert self.auction is not None
        state = codec.encode_auction(self.auction)
        return Snapshot(self.auction_id, self.seq, self.epoch, self.at, self.hash, state)

    def head(self) -> HeadRow:
        """The read model's row."""
        assert self.auction is not None
        return head_row(self, self.auction, self.seq, self.at)


def answer_of(event: BidEvent, epoch: int, seq: int, at: int) -> BidAnswer:
    """What a bidder hears of a bid that the log has there."""
    return BidAnswer(epoch, seq, at, outcome_of(event), event.price, event.minimum, event.ends_at)


def repeated(known: Known, amount: int | None, now_ms: int) -> Answer:
    """The answer to a retry; the same key with another amount is none."""
    first, answer = known
    if first != amount:
        return Refused(KEY_REUSED, now_ms)
    return replace(answer, duplicate=True)


def head_row(keeper: Keeper, auction: Auction, seq: int, at: int) -> HeadRow:
    """The read model's row of an auction that is in this state after the event ``seq``."""
    terms, public = auction.terms, public_state(auction, at, keeper.placement)
    return HeadRow(
        auction=keeper.auction_id,
        slot=keeper.slot,
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
        epoch=keeper.epoch,
        seq=seq,
    )
