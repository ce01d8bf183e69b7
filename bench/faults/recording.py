"""Everything that the clients of one run sent and received. Money in base units, `…_ns` on this machine's steady
clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Position = tuple[int, int]
"""(epoch, seq)."""


@dataclass(frozen=True)
class Order:
    """One intention of a bidder, however often it was sent. `sent_ns` is when it first went out."""

    auction: str
    bidder: str
    key: str
    amount: int
    sent_ns: int


@dataclass(frozen=True)
class Acked:
    """The engine said that the order is durable."""

    order: Order
    answered_ns: int
    seq: int
    at: int
    outcome: str
    price: int
    minimum: int
    ends_at: int | None
    duplicate: bool = False


@dataclass(frozen=True)
class RefusedOrder:
    """The engine said that nothing happened, and what it decided on."""

    order: Order
    code: str
    price: int | None
    minimum: int | None
    server_time: int | None


@dataclass(frozen=True)
class ReceivedEvent:
    """One event that a watcher received."""

    epoch: int
    seq: int
    type: str
    at: int
    data: Mapping[str, Any]

    @classmethod
    def of(cls, frame: Mapping[str, Any]) -> "ReceivedEvent":
        """From a frame, or an event of an answer."""
        return cls(frame["epoch"], frame["seq"], frame["type"], frame["at"], frame["data"])


@dataclass(frozen=True)
class ReceivedState:
    """A whole state, in place of all events up to its position."""

    epoch: int
    seq: int
    state: Mapping[str, Any]


@dataclass
class Seen:
    """What one watcher received, in order, without what its own rule ignores (docs/protocol.md, "A rule for clients").

    `missed` has a sentence for every gap without notice, and for every step back.
    """

    auction: str
    received: list[ReceivedEvent | ReceivedState] = field(default_factory=list)
    position: Position = (0, 0)
    missed: list[str] = field(default_factory=list)

    @property
    def events(self) -> list[ReceivedEvent]:
        return [event for event in self.received if isinstance(event, ReceivedEvent)]

    @property
    def states(self) -> list[ReceivedState]:
        return [state for state in self.received if isinstance(state, ReceivedState)]

    def receive_answer(self, reply: Mapping[str, Any]) -> None:
        """The answer to a subscription: the events since the position that it named, or a state."""
        if not reply["recovered"]:
            self.receive_state(ReceivedState(reply["epoch"], reply["seq"], reply["state"]), answer=True)
            return
        for event in reply["events"]:
            self.receive_event(ReceivedEvent.of(event))
        if self.position != (reply["epoch"], reply["seq"]):
            self.missed.append(
                f"a resume said that it reaches {reply['epoch']}/{reply['seq']} and ended at {self.position}"
            )

    def receive_event(self, event: ReceivedEvent) -> None:
        """The next frame that is an event."""
        if (event.epoch, event.seq) <= self.position:
            return
        epoch, seq = self.position
        if (event.epoch, event.seq) != (epoch, seq + 1):
            self.missed.append(
                f"event {event.epoch}/{event.seq} came after {epoch}/{seq}, without a state between them"
            )
        self.received.append(event)
        self.position = (event.epoch, event.seq)

    def receive_state(self, state: ReceivedState, *, answer: bool = False) -> None:
        """A state: an update, or the `answer` to a subscription, which may not be older than the last one."""
        if (state.epoch, state.seq) < self.position:
            if answer:
                epoch, seq = self.position
                self.missed.append(f"it was taken back to {state.epoch}/{state.seq} from {epoch}/{seq}")
            return
        self.received.append(state)
        self.position = (state.epoch, state.seq)


class Seeing(Protocol):
    """A recording of what watchers receive."""

    seen: list[Seen]


@dataclass
class Recording:
    """All of one run. `retries` says when and why bids had to be sent again, in any order."""

    orders: list[Order] = field(default_factory=list)
    acks: list[Acked] = field(default_factory=list)
    refused: list[RefusedOrder] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    # The answers after which a bidder retried the same bid: `unavailable`, `overloaded`, `rate_limited`.
    rejected: list[str] = field(default_factory=list)
    lost_connections: int = 0
    retries: list[tuple[int, str]] = field(default_factory=list)
