"""Following one auction: after each update the whole state, kept up by the events."""

from collections.abc import AsyncIterator
from typing import Any, Self

import msgspec

from ece_client.errors import UnexpectedAnswer
from ece_client.feed import Feed
from ece_client.values import AuctionState, Event, Signal, Snapshot, SnapshotReason, Value


class AuctionUpdate(Value, frozen=True):
    """The auction at `(epoch, seq)`. `event` led to it; None: events were skipped, and `reason` says why.

    `server_time` of the state is the time of the last whole state, not of the event.
    """

    state: AuctionState
    epoch: int
    seq: int
    event: Event | None
    reason: SnapshotReason | None


class AuctionFeed(AsyncIterator[AuctionUpdate]):
    """Iterate over it with `async for`. It does not end by itself when the auction does: see `AuctionState.ended`."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        # The newest state that the reader got; None before the first update.
        self.state: AuctionState | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AuctionUpdate:
        """The next update; what the reader is too slow for is skipped, and said so."""
        while True:
            update = await anext(self.feed)
            if isinstance(update, Signal):
                continue
            if isinstance(update, Snapshot):
                self.state = _state(update)
                return AuctionUpdate(self.state, update.epoch, update.seq, None, update.reason)
            if self.state is not None:
                self.state = after(self.state, update)
                return AuctionUpdate(self.state, update.epoch, update.seq, update, None)


def _state(snapshot: Snapshot) -> AuctionState:
    try:
        return msgspec.convert(snapshot.state, AuctionState)
    except msgspec.ValidationError as error:
        raise UnexpectedAnswer(f"a state of {snapshot.channel}: {error}") from error


def after(state: AuctionState, event: Event) -> AuctionState:
    """The state after this event, as the server's own next state would say it.

    `minimum` means nothing once the auction has ended.
    """
    data = event.data
    match event.type:
        case "opened":
            return _with(state, status="open")
        case "bid":
            return _after_bid(state, data)
        case "reserve_met":
            # Once the hidden reserve is met, the auction can't be bought at once any more.
            return _with(state, reserve="met", buy_now=None)
        case "extended":
            return _with(state, ends_at=data["ends_at"])
        case "closed":
            sold = {"winner": data["winner"], "price": data["price"]} if data["sold"] else {}
            met = {"reserve": "met"} if data["sold"] and state.reserve == "unmet" else {}
            return _with(state, status="closed", buy_now=None, closed_reason=data["reason"], **sold, **met)
        case "cancelled":
            return _with(state, status="cancelled", buy_now=None)
        case "settled":
            return _with(state, settled=True)
        case _:
            return state


def _after_bid(state: AuctionState, data: dict[str, Any]) -> AuctionState:
    leads = data["outcome"] in ("leading", "won")
    # Without a hidden reserve, the first bid ends the buy-now price.
    buy_now = state.buy_now if state.reserve == "unmet" and data["outcome"] != "won" else None
    return _with(
        state, price=data["price"], minimum=data["minimum"], bids=state.bids + 1, buy_now=buy_now,
        leader=data["bidder"] if leads else state.leader,
    )  # fmt: skip


def _with(state: AuctionState, **changes: Any) -> AuctionState:
    return msgspec.structs.replace(state, **changes)
