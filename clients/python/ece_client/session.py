"""A connection that is made again whenever it is lost: back-off by close code, new tokens, feeds resumed."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from ece_client.backoff import Backoff
from ece_client.clock import ServerClock
from ece_client.connection import Connection
from ece_client.errors import CLOSE_CODE_TOKEN, Closed, ConnectionLost, EceError, NotAnswered, Refused
from ece_client.feed import Feed
from ece_client.options import Options
from ece_client.rest import AccessToken, Tokens

# A connection that lived for so long was no failure: the next delay is the first one again.
STABLE_AFTER_S = 5.0
TOKEN_RETRY_S = 5.0


class Session:
    """Use `start` and `close`; `client.py` does. `connections` counts those that were made."""

    def __init__(self, url: str, tokens: Tokens | None, options: Options, clock: ServerClock) -> None:
        self._url = url
        self._tokens = tokens
        self._options = options
        self._clock = clock
        self._feeds: dict[str, list[Feed]] = {}
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._failed: EceError | None = None
        self._running: asyncio.Task[None] | None = None
        self._token: AccessToken | None = None
        self._authenticating = asyncio.Lock()
        self._renewals: set[asyncio.Task[None]] = set()
        self._last_failure: EceError | None = None
        self.connections = 0
        self.user: dict[str, Any] | None = None

    async def start(self) -> None:
        """Connect. Raises what the server says, or the last failure at the deadline."""
        self._running = asyncio.create_task(self._run())
        try:
            await self._connected(self._options.connect_deadline_s)
        except NotAnswered as silence:
            raise self._last_failure or silence from None

    async def close(self) -> None:
        """End the connection and all feeds."""
        self._fail(Closed("the client was closed"))
        for renewal in self._renewals:
            renewal.cancel()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._connection is not None:
            await self._connection.close()

    def follow(self, channel: str) -> Feed:
        """A new feed of this channel. Raises Refused beyond `feeds_max` channels."""
        if self._failed is not None:
            raise self._failed
        if channel not in self._feeds and len(self._feeds) >= self._options.feeds_max:
            raise Refused("overloaded", f"a client follows at most {self._options.feeds_max} channels", {})
        feed = Feed(channel, self._options, self._subscribe)
        self._feeds.setdefault(channel, []).append(feed)
        if self._connection is not None and self._connection.lost is None:
            feed.connected(self._connection)
        return feed

    async def unfollow(self, feed: Feed) -> None:
        """End this feed; the last one of a channel ends the subscription."""
        feed.end(Closed("the feed was closed"))
        feeds = self._feeds.get(feed.channel, [])
        if feed in feeds:
            feeds.remove(feed)
        if feeds or self._feeds.pop(feed.channel, None) is None:
            return
        if self._connection is not None and self._failed is None and not feed.refused:
            await self._connection.tell("unsubscribe", channel=feed.channel)

    async def request(self, op: str, left_s: float, /, **fields: Any) -> dict[str, Any]:
        """One request on the current connection, or the next one. A refused token is replaced once."""
        ends_s = time.monotonic() + left_s
        connection = await self._connected(left_s)
        return await self._on(connection, op, min(self._options.request_deadline_s, ends_s - time.monotonic()), fields)

    async def _on(
        self, connection: Connection, op: str, deadline_s: float, fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        """One request on this connection."""
        token, ends_s = self._token, time.monotonic() + deadline_s
        try:
            return await connection.request(op, deadline_s, **fields)
        except Refused as refused:
            if refused.code != "unauthenticated" or self._tokens is None:
                raise
        await self._authenticated(connection, token, ends_s - time.monotonic())
        return await connection.request(op, ends_s - time.monotonic(), **fields)

    async def _authenticated(self, connection: Connection, used: AccessToken | None, left_s: float) -> None:
        """Wait for another token on this connection. One that comes later counts for the next request.

        Whoever waits may give up, the renewal may not: a refresh token is good for one use.
        """
        if self._failed is not None:
            raise self._failed
        renewal = asyncio.create_task(self._authenticate(connection, used))
        self._renewals.add(renewal)
        renewal.add_done_callback(self._renewed)
        if not (await asyncio.wait([renewal], timeout=max(0.0, left_s)))[0]:
            raise NotAnswered("no new access token in time", sent=False)
        if renewal.cancelled():
            raise Closed("the client was closed")
        renewal.result()

    def _renewed(self, renewal: asyncio.Task[None]) -> None:
        self._renewals.discard(renewal)
        if not renewal.cancelled():
            renewal.exception()  # nobody may wait for it any more

    async def _subscribe(self, connection: Connection, fields: Mapping[str, Any]) -> dict[str, Any]:
        reply = await self._on(connection, "subscribe", self._options.request_deadline_s, fields)
        # The server does not send what a reply covers, also for other feeds of the channel: they are one subscription.
        for feed in self._feeds.get(str(fields["channel"]), ()):
            feed.covered(reply)
        return reply

    async def _connected(self, left_s: float) -> Connection:
        """The live connection. Raises NotAnswered where there is none in time, or why there will be none."""
        try:
            async with asyncio.timeout(left_s):
                while True:
                    if self._failed is not None:
                        raise self._failed
                    if self._connection is not None and self._connection.lost is None:
                        return self._connection
                    self._up.clear()
                    await self._up.wait()
        except TimeoutError:
            raise NotAnswered(f"not connected within {left_s:.3g} s", sent=False) from None

    @property
    def in_flight(self) -> int:
        """How many requests wait for an answer now."""
        return 0 if self._connection is None else self._connection.in_flight

    # --- the connection's life ---

    async def _run(self) -> None:
        try:
            await self._reconnect()
        except Exception as error:
            self._fail(EceError(f"the client has failed: {error!r}"))
            raise

    async def _reconnect(self) -> None:
        backoff = Backoff(max_s=self._options.reconnect_max_s)
        token_refused = False
        while self._failed is None:
            began_s = time.monotonic()
            try:
                lost: EceError = await self._live()
                token_refused = False
                if time.monotonic() - began_s >= STABLE_AFTER_S:
                    backoff.reset()
            except (ConnectionLost, NotAnswered) as failure:
                lost = failure
            except EceError as refused:
                if not isinstance(refused, Refused) or not refused.retryable:
                    self._fail(refused)
                    return
                lost = refused
            self._last_failure = lost
            if isinstance(lost, ConnectionLost) and lost.final:
                if token_refused or not await self._has_another_token(lost):
                    self._fail(lost)
                    return
                token_refused = True
            await asyncio.sleep(backoff.next_s(lost.retry_after_s))

    async def _live(self) -> ConnectionLost:
        """One connection from its beginning to its end."""
        self._token = None if self._tokens is None else await self._tokens.access_token()
        token = None if self._token is None else self._token.text
        connection = await Connection.open(self._url, token, self._options, self._clock, self._receive)
        self._connection = connection
        self.connections += 1
        self.user = connection.user
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.connected(connection)
        self._up.set()
        fresh = asyncio.create_task(self._keep_authenticated(connection))
        try:
            await connection.wait_closed()
        finally:
            fresh.cancel()
        return connection.lost or ConnectionLost(1006)

    async def _has_another_token(self, lost: ConnectionLost) -> bool:
        """After 4501: whether there is a new token to try, once."""
        if lost.code != CLOSE_CODE_TOKEN or self._tokens is None or self._token is None:
            return False
        try:
            await self._tokens.renew(self._token.text)
        except Refused as refused:
            return refused.retryable
        except (ConnectionLost, NotAnswered):
            pass
        return True

    async def _keep_authenticated(self, connection: Connection) -> None:
        """Say hello with a new token before the old one expires."""
        while self._token is not None and self._token.replace_at_s is not None:
            await asyncio.sleep(max(0.0, self._token.replace_at_s - time.monotonic()))
            try:
                await self._authenticate(connection, self._token)
            except EceError:
                await asyncio.sleep(TOKEN_RETRY_S)

    async def _authenticate(self, connection: Connection, used: AccessToken | None) -> None:
        """Replace the token `used` on this connection, unless somebody else just did."""
        assert self._tokens is not None
        async with self._authenticating:
            if self._token is not used:
                return
            token = await self._tokens.renew("" if used is None else used.text)
            await connection.hello(token.text)
            self._token = token

    def _receive(self, frame: dict[str, Any]) -> None:
        for feed in self._feeds.get(str(frame["channel"]), ()):
            feed.receive(frame)

    def _fail(self, error: EceError) -> None:
        """There will be no more connection: everybody who waits gets to know why."""
        self._failed = self._failed or error
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.end(error)
        self._up.set()
