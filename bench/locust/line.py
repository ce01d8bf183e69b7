"""A user's WebSocket across connections: reconnects by close code, resumes subscriptions, measures updates. Only for
Locust's own processes."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import gevent
from gevent.lock import BoundedSemaphore
from locust.exception import StopUser

from bench.locust.book import Following, KnownLot
from bench.locust.connection import Connection
from bench.locust.frames import Update, check_auction_event
from bench.locust.plan import Identity
from bench.locust.results import BidAck, BidRefused
from bench.locust.state import NOT_ANSWERED, WRONG_ANSWER, LoadState, code_of, fields_of_bid, since_ms
from ece_client import Closed, ConnectionLost, EceError, Refused, UnexpectedAnswer
from ece_client.backoff import Backoff

GAP = "gap"
# Of one subscription; if more come before its reply, there is a gap, and another subscription.
HELD_MAX = 1_000
_OF_AN_ACK = ("seq", "at", "outcome", "price", "minimum", "ends_at", "duplicate")
_OF_A_REFUSAL = ("price", "minimum", "server_time")
OnLotUpdate = Callable[[KnownLot], None]


class Line:
    """One user's line. `on_update` is called with an auction of which the user has got an update; it must not wait."""

    def __init__(self, load: LoadState, identity: Identity, on_update: OnLotUpdate | None = None) -> None:
        self._load = load
        self.identity = identity
        self._on_update = on_update
        self._connection: Connection | None = None
        self._following: dict[str, Following] = {}
        # Updates that came during a subscription, at most HELD_MAX.
        self._held: dict[str, list[Update]] = {}
        self._backoff = Backoff()
        self._connecting = BoundedSemaphore(1)

    @property
    def followed(self) -> list[KnownLot]:
        """The auctions that this user watches."""
        return [following.lot for following in self._following.values()]

    def live(self) -> Connection:
        """The connection; a new one, with all subscriptions, where the last one was lost. Raises StopUser where the
        server says not to come back, and what `Connection.open` does."""
        # Several operations may find at the same time that the connection is lost.
        with self._connecting:
            connection = self._connection
            if connection is not None and connection.lost is None:
                return connection
            if connection is not None and connection.lost is not None:
                self._load.measures.record("ack", "connection", 0.0, code_of(connection.lost))
                self._connection = None
                self._leave_if_final(connection.lost)
                gevent.sleep(self._backoff.next_s())
            return self._open()

    def _open(self) -> Connection:
        began_s = time.perf_counter()
        try:
            connection = Connection.open(
                self._load.plan.url, self.identity.token, self._load.clock, self._take, self._broken
            )
        except EceError as error:
            self._load.measures.record("ack", "hello", since_ms(began_s), code_of(error))
            if isinstance(error, ConnectionLost):
                self._leave_if_final(error)
            gevent.sleep(self._backoff.next_s(error.retry_after_s))
            raise
        self._load.measures.record("ack", "hello", since_ms(began_s))
        self._connection = connection
        self._backoff.reset()
        for auction in list(self._following):
            self._subscribe(connection, auction)
        return connection

    def _leave_if_final(self, lost: ConnectionLost) -> None:
        if lost.final:
            raise StopUser

    def follow(self, lot: KnownLot) -> None:
        """Watch an auction from now on. Failures are recorded."""
        if lot.id in self._following:
            return
        self._following[lot.id] = Following(lot)
        began_s = time.perf_counter()
        self._load.measures.measured("ack", "subscribe", began_s, lambda: self._subscribe(self.live(), lot.id))

    def unfollow(self, lot: KnownLot) -> None:
        """Watch it no longer."""
        following, connection = self._following.pop(lot.id, None), self._connection
        if following is None or connection is None:
            return
        began_s = time.perf_counter()
        try:
            connection.request("unsubscribe", channel=f"auction:{lot.id}")
        except (ConnectionLost, Closed):
            # The subscription has ended with its connection.
            return
        except EceError as error:
            self._load.measures.record("ack", "unsubscribe", since_ms(began_s), code_of(error))
        else:
            self._load.measures.record("ack", "unsubscribe", since_ms(began_s))

    def _subscribe(self, connection: Connection, auction: str) -> None:
        following = self._following.get(auction)
        if following is None:
            return
        since = {"since": {"epoch": following.epoch, "seq": following.seq}} if following.seq else {}
        # Updates may be read before this greenlet gets its reply.
        held = self._held[auction] = []
        try:
            reply = connection.request("subscribe", channel=f"auction:{auction}", **since)
            if reply["recovered"]:
                for event in reply["events"]:
                    check_auction_event(event["type"], event["data"])
            else:
                check_auction_event("state", reply["state"])
            following.subscribed(reply)
        finally:
            self._held.pop(auction, None)
        for update in held:
            self._update(update, following)
        self._leave_if_over(following)

    def request(self, name: str, due_s: float, op: str, /, **fields: Any) -> dict[str, Any] | None:
        """A request, measured since `due_s`. None: it failed."""
        return self._load.measures.measured("ack", name, due_s, lambda: self.live().request(op, **fields))

    def bid(self, lot: KnownLot, amount: int, due_s: float) -> dict[str, Any] | None:
        """A bid, measured since `due_s`, with all that a checker needs. None: it was refused or failed."""
        order = fields_of_bid(lot.id, self.identity.username, uuid4().hex, amount, time.monotonic_ns())
        record = self._load.measures.record
        try:
            reply = self.live().request("bid", auction=lot.id, amount=amount, key=order["key"])
            if reply["auction"] != lot.id:
                raise UnexpectedAnswer(f"a bid in {lot.id} was answered for {reply['auction']}")
        except Refused as refused:
            lot.learn_refusal(refused.code, refused.details)
            order |= {name: refused.details.get(name) for name in _OF_A_REFUSAL}
            record("ack", "bid", since_ms(due_s), refused.code, BidRefused(**order))
            return None
        except EceError as error:
            record("ack", "bid", since_ms(due_s), code_of(error), BidRefused(**order))
            return None
        except gevent.GreenletExit:
            # The run is over. The bid may be in the log, so a checker has to know of it.
            record("ack", "bid", since_ms(due_s), NOT_ANSWERED, BidRefused(**order))
            raise
        order |= {name: reply.get(name) for name in _OF_AN_ACK}
        record("ack", "bid", since_ms(due_s), None, BidAck(**order, answered_ns=time.monotonic_ns()))
        self._load.book.bid_acked(lot.id, reply["seq"], due_s)
        lot.learn_bid(self.identity.username, reply)
        return reply

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()

    # --- called by the reader of the connection ---

    def _take(self, update: Update) -> None:
        kind, _, entity = update.channel.partition(":")
        following = self._following.get(entity) if kind == "auction" else None
        if following is None:
            return
        check_auction_event(update.type, update.data)
        held = self._held.get(entity)
        if held is None:
            self._update(update, following)
        elif len(held) < HELD_MAX:
            held.append(update)

    def _update(self, update: Update, following: Following) -> None:
        seq_before, open_before, ends_at = following.seq, following.open, following.ends_at
        if not following.take(update):
            self._load.measures.record("news", update.type, 0.0, GAP)
            gevent.spawn(self._subscribe_again, following.lot.id)
            return
        self._measure_update(update, following, seq_before)
        if (
            open_before
            and not following.open
            and "time" in (update.data.get("reason"), update.data.get("closed_reason"))
        ):
            self._load.measures.record("close", update.type, float(max(0, self._load.clock.now_ms() - ends_at)))
        if self._on_update is not None:
            self._on_update(following.lot)
        self._leave_if_over(following)

    def _leave_if_over(self, following: Following) -> None:
        """Nothing comes any more, and a connection has room for so many subscriptions only."""
        if not following.open:
            gevent.spawn(self.unfollow, following.lot)

    def _measure_update(self, update: Update, following: Following, seq_before: int) -> None:
        """From when the oldest bid in this frame was due; bids of other load processes are not known here."""
        due_s = self._load.book.oldest_due_s(following.lot.id, seq_before, following.seq)
        if due_s is not None and following.seq > seq_before:
            self._load.measures.record("news", "state" if update.type == "state" else "event", since_ms(due_s))

    def _subscribe_again(self, auction: str) -> None:
        connection = self._connection
        if connection is not None:
            began_s = time.perf_counter()
            self._load.measures.measured("ack", "subscribe", began_s, lambda: self._subscribe(connection, auction))

    def _broken(self, error: UnexpectedAnswer) -> None:
        self._load.measures.record("news", "frame", 0.0, WRONG_ANSWER)
