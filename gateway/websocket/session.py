"""One client's WebSocket session: decode, authenticate, limit, route; and what goes back."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog

from actors.stream.messages import Accepted, Answer, Command, Refused, command
from domain import errors
from domain.auction.commands import BuyNow, PlaceBid
from domain.ids import InvalidId, id_text, parse_id
from gateway.fanout.channels import Subscription
from gateway.fanout.hub import Hub, SubscribeFailed
from gateway.fanout.user_channels import USER_PREFIX, OwnSubscription, channel_of
from gateway.identity.tokens import Identity, TokenError, TokenIssuer
from gateway.websocket.admission import Admission, Share
from gateway.websocket.allowance import Allowance
from gateway.websocket.session_protocols import Connection, Routes
from gateway.websocket.traffic import OK, Traffic
from gateway.wire.frames import (
    BidFrame,
    BidReply,
    BrokenFrame,
    BuyNowFrame,
    ClientFrame,
    Codec,
    ErrorReply,
    Hello,
    InvalidFrame,
    Ping,
    Subscribe,
    Unsubscribe,
    op_of,
)

log = structlog.get_logger()

NO_DETAILS: Mapping[str, int | None] = {}
HELLO_WITHIN_S = 5.0
HEARTBEAT_MS = 20_000
# The error `overloaded` is the same for so long, up to its `server_time`.
OVERLOADED_ANEW_S = 0.001
# A client that could not be told something is looked at so often, should its socket not say itself that it drained.
BEHIND_LOOK_S = 0.25

CLOSE_NO_HELLO = 4000
CLOSE_TOO_SLOW = 4001
CLOSE_RATE = 4002
CLOSE_BROKEN = 4500
CLOSE_TOKEN = 4501
CLOSE_TOO_LARGE = 4502
CLOSE_FAULT = 1011
CLOSE_RESTARTING = 1012
TOO_MANY = "too many commands: reconnect later, and slower"


class SessionLimits(msgspec.Struct, frozen=True):
    """Bounds of one session; see docs/operations.md."""

    commands_per_s: int = 200
    commands_burst: int = 400
    subscriptions_max: int = 200
    frame_bytes_max: int = 16_384
    unsent_bytes_max: int = 1_048_576
    # News is written while no more than this waits for the client: what is written now is still news when it arrives,
    # and an ack that comes next has little before it.
    news_unsent_bytes_max: int = 16_384
    stalled_after_s: float = 10.0
    frames_per_turn: int = 64


class Session:
    """Plain class over a connection: ``received`` takes frames, ``closed`` ends it. Never raises."""

    def __init__(
        self, connection: Connection, codec: Codec, router: Routes, hub: Hub, tokens: TokenIssuer,
        limits: SessionLimits, admission: Admission,
        traffic: Traffic, now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self.codec = codec
        self.identity: Identity | None = None
        self._greeted = False
        self._connection = connection
        self._router = router
        self._hub = hub
        self._tokens = tokens
        self._limits = limits
        self._admission = admission
        self._traffic = traffic
        self._now_ms = now_ms
        self._share = Share()
        self._overloaded_at_s = 0.0
        self._overloaded_error = msgspec.Raw()
        self._closed_with: int | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._allowance = Allowance(limits.commands_per_s, limits.commands_burst)
        self._news_unsent_max = min(limits.news_unsent_bytes_max, limits.unsent_bytes_max)
        self._behind: dict[Subscription, None] = {}
        self._look_at_behind: asyncio.TimerHandle | None = None
        self._unsent_before = 0
        self._took_at = 0.0
        loop = asyncio.get_running_loop()
        self._hello_deadline = loop.call_later(HELLO_WITHIN_S, self._no_hello)

    @property
    def subscriptions(self) -> int:
        """How many it has."""
        return len(self._subscriptions)

    @property
    def behind(self) -> int:
        """How many of them were not told something, and wait for the newest state."""
        return len(self._behind)

    @property
    def unsent_bytes(self) -> int:
        """What waits for the client to take it."""
        return self._connection.unsent_bytes()

    # -- in

    def received(self, data: bytes | str) -> None:
        """Take one message of the client."""
        try:
            self._receive(data)
        except Exception:
            log.exception("session_fault")
            self._close(CLOSE_FAULT, "internal error")

    def counted(self, size: int) -> bool:
        """Count a frame that is no whole message: a ping, a pong, a fragment. Whether it may have an answer."""
        self._traffic.received_frames += 1
        self._traffic.received_bytes += size
        if self._connection.unsent_bytes() > self._limits.unsent_bytes_max:
            self._too_slow()
            return False
        taken = self._allowance.take()
        if not taken and self._allowance.strike():
            self._close(CLOSE_RATE, TOO_MANY)
        return taken

    def _receive(self, data: bytes | str) -> None:
        size = len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
        self._traffic.received_frames += 1
        self._traffic.received_bytes += size
        if size > self._limits.frame_bytes_max:
            self._close(CLOSE_TOO_LARGE, f"a frame has at most {self._limits.frame_bytes_max} bytes")
            return
        if isinstance(data, bytes) is not self.codec.binary:
            self._close(CLOSE_BROKEN, f"{self.codec.subprotocol} has other frames")
            return
        try:
            frame = self.codec.decode(data)
        except InvalidFrame as fault:
            if self._allowance.take():
                self._fail("invalid", fault.request_id, errors.INVALID_FRAME, str(fault))
            else:
                self._over_rate("invalid", fault.request_id)
            return
        except BrokenFrame as fault:
            self._close(CLOSE_BROKEN, str(fault))
            return
        try:
            self._dispatch(frame)
        except Exception:
            log.exception("command_failed", op=op_of(frame))
            self._fail(op_of(frame), frame.id, errors.INTERNAL_ERROR)

    def _dispatch(self, frame: ClientFrame) -> None:
        if not self._allowance.take():
            self._over_rate(op_of(frame), frame.id)
        elif isinstance(frame, BidFrame):
            self._bid(frame)
        elif isinstance(frame, Hello):
            self._hello(frame)
        elif not self._greeted:
            self._fail(op_of(frame), frame.id, "unauthenticated", "the first frame is hello")
        else:
            self._other(frame)

    def _other(self, frame: Ping | Subscribe | Unsubscribe | BuyNowFrame) -> None:
        match frame:
            case Ping():
                now = self._now_ms()
                reply = {"id": frame.id, "ok": True, "server_time": now, "client_time": frame.client_time}
                self._reply("ping", reply)
            case BuyNowFrame():
                self._buy(frame)
            case Subscribe():
                self._subscribe(frame)
            case Unsubscribe():
                self._unsubscribe(frame)

    # -- commands

    def _hello(self, frame: Hello) -> None:
        reply: dict[str, Any] = {
            "id": frame.id,
            "ok": True,
            "session": secrets.token_urlsafe(12),
            "server_time": self._now_ms(),
            "heartbeat_ms": HEARTBEAT_MS,
        }
        identity = None
        if frame.token is not None:
            try:
                identity = self._tokens.verify(frame.token, self._now_ms() // 1000)
            except TokenError as error:
                self._fail("hello", frame.id, "unauthenticated", str(error))
                self._close(CLOSE_TOKEN, str(error))
                return
            reply["user"] = {"id": id_text(identity.user_id), "username": identity.name}
        # The last hello decides: without a token nobody is spoken for any more.
        self.identity = identity
        self._greeted = True
        self._hello_deadline.cancel()
        self._reply("hello", reply)
        self._own_channels_again()

    def _bid(self, frame: BidFrame) -> None:
        who = self._admitted("bid", frame)
        if who is not None:
            identity, auction = who
            bid = PlaceBid(identity.user_id, identity.name, frame.amount, frame.key)
            self._order("bid", frame, command(auction, "auction", bid, (identity.user_id, frame.key)))

    def _buy(self, frame: BuyNowFrame) -> None:
        who = self._admitted("buy_now", frame)
        if who is not None:
            identity, auction = who
            buy = BuyNow(identity.user_id, identity.name, frame.key)
            self._order("buy_now", frame, command(auction, "auction", buy, (identity.user_id, frame.key)))

    def _admitted(self, op: str, frame: BidFrame | BuyNowFrame) -> tuple[Identity, int] | None:
        """Who bids, and in which auction, with a place taken for it; or None, and the client was told why."""
        if not self._admission.take(self._share):
            self._overloaded(op, frame.id)
            return None
        identity = self._bidder(op, frame.id)
        if identity is not None:
            try:
                return identity, parse_id(frame.auction)
            except InvalidId:
                self._fail(op, frame.id, "not_found", "there is no such auction")
        self._admission.give_back(self._share)
        return None

    def _overloaded(self, op: str, request_id: int | str) -> None:
        """Refuse before anything else, and with little work: there is much of this when it happens."""
        now_s = time.perf_counter()
        if now_s - self._overloaded_at_s > OVERLOADED_ANEW_S:
            self._overloaded_at_s = now_s
            error = self._error(errors.OVERLOADED, None, NO_DETAILS)
            self._overloaded_error = msgspec.Raw(self.codec.encode(error))
        self._traffic.answered[op, errors.OVERLOADED] += 1
        self._connection.pause()
        self._answer(self.codec.frame(ErrorReply(request_id, False, self._overloaded_error)), more_to_come=True)

    def _order(self, op: str, frame: BidFrame | BuyNowFrame, request: Command) -> None:
        """Send it on its way; it has its place until its answer comes, which always does."""
        received_s = time.perf_counter()

        def answered(answer: Answer) -> None:
            self._admission.give_back(self._share)
            self._traffic.acked(time.perf_counter() - received_s)
            self._bid_answered(op, frame, answer)

        self._router.send(request, answered)

    def _bid_answered(self, op: str, frame: BidFrame | BuyNowFrame, answer: Answer) -> None:
        if isinstance(answer, Accepted):
            outcome, price, minimum, ends_at = answer.result
            self._reply(
                op,
                BidReply(
                    frame.id, True, frame.auction, answer.epoch, answer.seq, answer.at, outcome, price, minimum,
                    ends_at, answer.duplicate,
                ),
            )  # fmt: skip
        elif isinstance(answer, Refused):
            self._refused(op, frame.id, answer)

    def _bidder(self, op: str, request_id: int | str) -> Identity | None:
        identity = self.identity
        if identity is None:
            self._fail(op, request_id, errors.UNAUTHENTICATED, "say hello with an access token first")
        elif identity.expires_at_ms <= self._now_ms():
            message = "the access token has expired: say hello with a new one"
            self._fail(op, request_id, errors.UNAUTHENTICATED, message)
        else:
            return identity
        return None

    # -- subscriptions

    def _subscribe(self, frame: Subscribe) -> None:
        limit = self._limits.subscriptions_max
        if len(self._tasks) >= limit:
            # The same channel again and again, before the first time is done.
            self._fail("subscribe", frame.id, errors.OVERLOADED)
            return
        own = frame.channel.startswith(USER_PREFIX)
        if own and not self._may_follow(frame):
            return
        if frame.channel not in self._subscriptions:
            if len(self._subscriptions) >= limit:
                self._fail("subscribe", frame.id, errors.OVERLOADED, f"a socket has at most {limit} subscriptions")
                return
            self._subscriptions[frame.channel] = (
                OwnSubscription(self, self._token_is_good) if own else Subscription(self)
            )
        task = asyncio.get_running_loop().create_task(self._subscribe_to(frame, self._subscriptions[frame.channel]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _may_follow(self, frame: Subscribe) -> bool:
        """Whether a user's channel is the client's own; where it isn't, the client was told."""
        identity = self._bidder("subscribe", frame.id)
        own = identity is not None and frame.channel == channel_of(identity.user_id)
        if identity is not None and not own:
            self._fail("subscribe", frame.id, "forbidden", "this is another user's channel")
        return own

    def _token_is_good(self) -> bool:
        return self.identity is not None and self.identity.expires_at_ms > self._now_ms()

    def _own_channels_again(self) -> None:
        """After a hello: one's own channel goes on, that of a user whom the socket spoke for before does not."""
        for channel in [name for name in self._subscriptions if name.startswith(USER_PREFIX)]:
            if self.identity is not None and channel == channel_of(self.identity.user_id):
                self._subscriptions[channel].catch_up()
            else:
                self._drop(channel)

    async def _subscribe_to(self, frame: Subscribe, subscription: Subscription) -> None:
        try:
            reply = await self._hub.subscribe(frame.channel, subscription, frame.since)
        except Exception as error:
            if self._subscriptions.get(frame.channel) is subscription and not subscription.active:
                del self._subscriptions[frame.channel]
            failure = error if isinstance(error, SubscribeFailed) else SubscribeFailed(errors.INTERNAL_ERROR)
            if failure is not error:
                log.exception("subscribe_failed", channel=frame.channel)
            self._fail("subscribe", frame.id, failure.code, str(failure), {"retry_after_ms": failure.retry_after_ms})
            return
        if self._subscriptions.get(frame.channel) is not subscription:
            # Unsubscribed while it was under way.
            self._hub.unsubscribe(frame.channel, subscription)
        self._reply("subscribe", {"id": frame.id, "ok": True, **reply})
        # Only now may news follow: none between the reply's position and the reply itself.
        subscription.start()

    def _unsubscribe(self, frame: Unsubscribe) -> None:
        self._drop(frame.channel)
        self._reply("unsubscribe", {"id": frame.id, "ok": True})

    def _drop(self, channel: str) -> None:
        subscription = self._subscriptions.pop(channel, None)
        if subscription is not None:
            self._behind.pop(subscription, None)
            self._hub.unsubscribe(channel, subscription)

    # -- out

    def push(self, frame: bytes) -> None:
        """Write at once. A client that does not read is closed: it reconnects and resumes."""
        if self._connection.unsent_bytes() > self._limits.unsent_bytes_max:
            self._too_slow()
            return
        self._write(frame)

    def tell(self, frame: bytes) -> bool:
        """Write news, unless so much waits for the client that it would come late and in front of acks."""
        unsent = self._connection.unsent_bytes()
        if unsent <= self._news_unsent_max:
            self._write(frame)
            return True
        if unsent > self._limits.unsent_bytes_max:
            self._too_slow()
        return False

    def _answer(self, frame: bytes, *, more_to_come: bool = False) -> None:
        """Write an answer: at once to who waits for nothing else, otherwise with those that come in the same turn."""
        connection, traffic = self._connection, self._traffic
        if connection.unsent_bytes() > self._limits.unsent_bytes_max:
            self._too_slow()
            return
        traffic.sent_frames += 1
        traffic.sent_bytes += len(frame)
        if more_to_come or self._share.under_way:
            connection.write_soon(frame)
        else:
            connection.write_frame(frame)

    def _write(self, frame: bytes) -> None:
        self._traffic.sent_frames += 1
        self._traffic.sent_bytes += len(frame)
        self._connection.write_frame(frame)

    def fell_behind(self, subscription: Subscription) -> None:
        """This subscription was not told something: it gets the newest state when the client can take it."""
        self._behind[subscription] = None
        if self._look_at_behind is None:
            loop = asyncio.get_running_loop()
            self._unsent_before, self._took_at = self._connection.unsent_bytes(), loop.time()
            self._look_at_behind = loop.call_later(BEHIND_LOOK_S, self._look)

    def drained(self) -> None:
        """The client took what waited for it: tell it where things stand now."""
        for subscription in list(self._behind):
            if self._connection.unsent_bytes() > self._news_unsent_max:
                return
            self._took_at = asyncio.get_running_loop().time()
            subscription.catch_up()
            if not subscription.behind:
                del self._behind[subscription]

    def _look(self) -> None:
        """While anything is behind: bring up what can be, and give up on a client that takes nothing at all."""
        self._look_at_behind = None
        self.drained()
        if not self._behind:
            return
        loop = asyncio.get_running_loop()
        unsent = self._connection.unsent_bytes()
        if unsent < self._unsent_before:
            self._took_at = loop.time()
        elif loop.time() - self._took_at >= self._limits.stalled_after_s:
            self._too_slow()
            return
        self._unsent_before = unsent
        self._look_at_behind = loop.call_later(BEHIND_LOOK_S, self._look)

    def _too_slow(self) -> None:
        self._close(CLOSE_TOO_SLOW, "too slow: reconnect and resume")

    def restart(self) -> None:
        """The gateway goes down: the client may come back at once, elsewhere."""
        self._close(CLOSE_RESTARTING, "restarting")

    def _close(self, code: int, reason: str) -> None:
        self._closed_with = self._closed_with or code
        self._connection.close(code, reason)

    def closed(self) -> None:
        """The connection is gone."""
        self._traffic.closed[str(self._closed_with or "client")] += 1
        self._hello_deadline.cancel()
        if self._look_at_behind is not None:
            self._look_at_behind.cancel()
        self._behind.clear()
        for channel, subscription in self._subscriptions.items():
            self._hub.unsubscribe(channel, subscription)
        self._subscriptions.clear()
        for task in list(self._tasks):
            task.cancel()

    def _reply(self, op: str, reply: Any) -> None:
        self._traffic.answered[op, OK] += 1
        self._answer(self.codec.frame(reply))

    def _refused(self, op: str, request_id: int | str, refused: Refused) -> None:
        # A newer host may know more codes: to send the same key again is safe whatever it meant.
        code, message = (refused.code, None) if refused.code in errors.ERRORS else (errors.UNAVAILABLE, None)
        if code == errors.KEY_REUSED:
            code, message = errors.INVALID_FRAME, errors.ERRORS[errors.KEY_REUSED].text
        self._fail(op, request_id, code, message, refused.known())

    def _fail(
        self, op: str, request_id: int | str | None, code: str, message: str | None = None,
        known: Mapping[str, int | None] = NO_DETAILS,
    ) -> None:  # fmt: skip
        self._traffic.answered[op, code] += 1
        error = self._error(code, message, known)
        self._answer(self.codec.frame({"id": request_id, "ok": False, "error": error}))

    def _error(self, code: str, message: str | None, known: Mapping[str, int | None]) -> dict[str, Any]:
        """All errors of the socket say when they were decided."""
        error = {"code": code, "message": message or errors.ERRORS[code].text, "server_time": self._now_ms()}
        error.update(errors.details_of(code, known))
        return error

    def _over_rate(self, op: str, request_id: int | str | None) -> None:
        if self._allowance.strike():
            self._close(CLOSE_RATE, TOO_MANY)
            return
        self._fail(op, request_id, errors.RATE_LIMITED, None, {"retry_after_ms": self._allowance.retry_after_ms})

    def _no_hello(self) -> None:
        self._close(CLOSE_NO_HELLO, f"no hello within {HELLO_WITHIN_S:.0f} s")
