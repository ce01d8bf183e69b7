"""The subscriptions of one socket: subscribing, unsubscribing, and catching up when the client was slow."""

import asyncio
from collections.abc import Callable

import structlog

from domain import errors
from gateway.fanout.channels import PrivateSubscription, Subscription
from gateway.fanout.hub import Hub
from gateway.identity.tokens import Identity
from gateway.websocket.connection import SessionLimits
from gateway.websocket.outbox import Outbox
from gateway.websocket.traffic import OK
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import Subscribe

log = structlog.get_logger()

# How often a client that is behind is checked, in case its socket does not call ``drained``.
BEHIND_CHECK_S = 0.25


class Subscriptions:
    """The subscriptions of one socket. ``identity()`` gives the identity of a valid token, or raises RequestFailed."""

    def __init__(self, hub: Hub, outbox: Outbox, limits: SessionLimits, identity: Callable[[], Identity]) -> None:
        self.codec = outbox.codec
        self.notify = outbox.notify
        self.push = outbox.push
        self._hub = hub
        self._outbox = outbox
        self._max = limits.subscriptions_max
        self._stalled_after_s = limits.stalled_after_s
        self._identity = identity
        self._by_channel: dict[str, Subscription] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._behind: dict[Subscription, None] = {}
        self._behind_check: asyncio.TimerHandle | None = None
        self._unsent_before = 0
        self._read_at = 0.0

    def __len__(self) -> int:
        return len(self._by_channel)

    @property
    def behind(self) -> int:
        """The number of subscriptions that missed an update, and wait for the newest state."""
        return len(self._behind)

    # -- subscribing

    def subscribe(self, frame: Subscribe) -> None:
        """Begin to subscribe to a channel; the reply comes later. Raises RequestFailed."""
        if len(self._tasks) >= self._max:
            # The same channel again and again, before the first time is done.
            raise RequestFailed(errors.OVERLOADED)
        private = self._hub.is_private(frame.channel)
        identity = self._identity() if private else None
        subscription = self._by_channel.get(frame.channel)
        if subscription is None:
            if len(self._by_channel) >= self._max:
                raise RequestFailed(errors.OVERLOADED, f"a socket has at most {self._max} subscriptions")
            subscription = PrivateSubscription(self, self._token_is_valid) if private else Subscription(self)
            subscription.user = None if identity is None else identity.user_id
            self._by_channel[frame.channel] = subscription
        task = asyncio.get_running_loop().create_task(self._subscribe_to(frame, subscription, identity))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _subscribe_to(self, frame: Subscribe, subscription: Subscription, identity: Identity | None) -> None:
        try:
            reply = await self._hub.subscribe(frame.channel, subscription, frame.since, identity)
            if identity is not None and not self._may_stay(frame.channel, identity.user_id):
                self.unsubscribe(frame.channel)
                raise RequestFailed(errors.UNAUTHENTICATED, "the socket has another user now")
        except Exception as error:
            if self._by_channel.get(frame.channel) is subscription and not subscription.active:
                del self._by_channel[frame.channel]
            failure = error if isinstance(error, RequestFailed) else RequestFailed(errors.INTERNAL_ERROR)
            if failure is not error:
                log.exception("subscribe_failed", channel=frame.channel)
            self._outbox.failed("subscribe", frame.id, failure)
            return
        if self._by_channel.get(frame.channel) is not subscription:
            # Unsubscribed while it was in flight.
            self._hub.unsubscribe(frame.channel, subscription)
        self._outbox.answer("subscribe", OK, {"id": frame.id, "ok": True, **reply})
        # Updates may be sent only from now on, after the reply.
        subscription.start()

    def unsubscribe(self, channel: str) -> None:
        """Unsubscribe from a channel; does nothing if it is not subscribed."""
        subscription = self._by_channel.pop(channel, None)
        if subscription is not None:
            self._behind.pop(subscription, None)
            self._hub.unsubscribe(channel, subscription)

    def signal(self, channel: str, identity: Identity) -> None:
        """The user types in a channel that this socket is subscribed to. Raises RequestFailed."""
        subscription = self._by_channel.get(channel)
        if subscription is None or not subscription.active:
            raise RequestFailed(errors.NOT_FOUND, "subscribe to the channel first")
        self._hub.signal(channel, identity)

    def identity_changed(self, identity: Identity | None) -> None:
        """After a hello: end subscriptions to private channels of another user."""
        for channel, subscription in list(self._by_channel.items()):
            if not isinstance(subscription, PrivateSubscription):
                continue
            if identity is not None and self._hub.may_follow(channel, identity):
                subscription.user = identity.user_id
                subscription.catch_up()
            elif subscription.active or identity is None or subscription.user != identity.user_id:
                # One in flight for this user may have no channel yet: it is checked before its reply.
                self.unsubscribe(channel)

    def _token_is_valid(self) -> bool:
        try:
            self._identity()
        except RequestFailed:
            return False
        return True

    def _may_stay(self, channel: str, user: int) -> bool:
        """Whether the token is valid, of this user, and good for the channel."""
        try:
            identity = self._identity()
        except RequestFailed:
            return False
        return identity.user_id == user and self._hub.may_follow(channel, identity)

    def close(self) -> None:
        """The socket was closed."""
        if self._behind_check is not None:
            self._behind_check.cancel()
        self._behind.clear()
        for channel, subscription in self._by_channel.items():
            self._hub.unsubscribe(channel, subscription)
        self._by_channel.clear()
        for task in list(self._tasks):
            task.cancel()

    # -- slow clients

    def fell_behind(self, subscription: Subscription) -> None:
        """This subscription missed an update: it gets the newest state when the client can take it."""
        self._behind[subscription] = None
        if self._behind_check is None:
            loop = asyncio.get_running_loop()
            self._unsent_before, self._read_at = self._outbox.unsent_bytes(), loop.time()
            self._behind_check = loop.call_later(BEHIND_CHECK_S, self._check_behind)

    def catch_up(self) -> None:
        """The client has read what waited for it: send the newest states of channels that are behind."""
        for subscription in list(self._behind):
            if self._outbox.unsent_bytes() > self._outbox.updates_unsent_max:
                return
            self._read_at = asyncio.get_running_loop().time()
            subscription.catch_up()
            if not subscription.behind:
                del self._behind[subscription]

    def _check_behind(self) -> None:
        """While any is behind: catch up as far as possible, and close a client that does not read."""
        self._behind_check = None
        self.catch_up()
        if not self._behind:
            return
        loop = asyncio.get_running_loop()
        unsent = self._outbox.unsent_bytes()
        if unsent < self._unsent_before:
            self._read_at = loop.time()
        elif loop.time() - self._read_at >= self._stalled_after_s:
            self._outbox.too_slow()
            return
        self._unsent_before = unsent
        self._behind_check = loop.call_later(BEHIND_CHECK_S, self._check_behind)
