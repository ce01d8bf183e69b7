"""The client: one user of one engine."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from uuid import uuid4

import httpx
import msgspec

from ece_client.areas import Auctions, Catalog, Trades, Wallet
from ece_client.auction import AuctionFeed
from ece_client.auth import FixedToken, PasswordTokens, register_user
from ece_client.backoff import OnRetry, until_known
from ece_client.clock import ServerClock
from ece_client.errors import UnexpectedAnswer
from ece_client.feed import Feed
from ece_client.options import Options
from ece_client.rest import Rest, Tokens
from ece_client.session import Session
from ece_client.values import BidResult, User


def new_key() -> str:
    """A key for one command: the same for each retry of it."""
    return uuid4().hex


class Client:
    """Use it with `async with`, from one event loop. Without any credentials it can only watch and read.

    `url` is that of the engine (`http://127.0.0.1:8000`). Credentials are either `login` and `password`, or an access
    `token`, or `tokens` of one's own. `live=False`: REST only, no WebSocket is opened.
    """

    def __init__(
        self,
        url: str,
        *,
        login: str | None = None,
        password: str | None = None,
        token: str | None = None,
        tokens: Tokens | None = None,
        options: Options | None = None,
        live: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.options = options or Options()
        self.clock = ServerClock()
        anonymous = Rest(url, None, self.options, transport)
        self._tokens = _tokens_of(anonymous, login, password, token, tokens)
        self.rest = anonymous.as_user(self._tokens)
        self.session = Session(url, self._tokens, self.options, self.clock)
        self.auctions = Auctions(self.rest)
        self.catalog = Catalog(self.rest)
        self.wallet = Wallet(self.rest)
        self.trades = Trades(self.rest)
        self._live = live

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """What `async with` does first; then `close` has to be called.

        Raises Refused for wrong credentials, ConnectionLost or NotAnswered if nobody is there in time.
        """
        try:
            if self._live:
                await self.session.start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close all connections. What is not answered then has an unknown outcome."""
        await self.session.close()
        await self.rest.close()

    # --- commands ---

    async def bid(
        self,
        auction: str,
        amount: int,
        *,
        key: str | None = None,
        deadline_s: float | None = None,
        on_retry: OnRetry | None = None,
    ) -> BidResult:
        """Bid up to `amount`; the engine bids for the user no more than it has to. Returns what is in the log.

        After `unavailable`, a lost connection or silence the same bid is sent again with the same key, so it counts
        once. Raises Refused (nothing happened) or OutcomeUnknown (with the key, at the deadline).
        """
        key = key or new_key()
        reply = await self.command("bid", key, deadline_s, on_retry, auction=auction, amount=amount)
        return _result(reply)

    async def buy_now(self, auction: str, *, key: str | None = None, deadline_s: float | None = None) -> BidResult:
        """Buy at the buy-now price, which ends the auction. Retries and errors as for `bid`."""
        return _result(await self.command("buy_now", key or new_key(), deadline_s, auction=auction))

    async def command(
        self, op: str, key: str, deadline_s: float | None = None, on_retry: OnRetry | None = None, /, **fields: Any
    ) -> dict[str, Any]:
        """Any operation of the socket that takes a `key` (`trade_accept`, …), until its outcome is known."""

        async def attempt(left_s: float) -> dict[str, Any]:
            return await self.session.request(op, left_s, key=key, **fields)

        return await until_known(attempt, key, deadline_s or self.options.command_deadline_s, on_retry)

    # --- following ---

    @asynccontextmanager
    async def follow(self, channel: str) -> AsyncIterator[Feed]:
        """The updates of a channel (`trade:<id>`, `user:<id>`, `mint:<id>`) while the block runs."""
        feed = self.session.follow(channel)
        try:
            yield feed
        finally:
            await self.session.unfollow(feed)

    @asynccontextmanager
    async def follow_auction(self, auction: str) -> AsyncIterator[AuctionFeed]:
        """The states of an auction while the block runs; the first is the present one."""
        async with self.follow(f"auction:{auction}") as feed:
            yield AuctionFeed(feed)

    # --- who and when ---

    @property
    def user(self) -> User | None:
        """Who the socket is authenticated as."""
        user = self.session.user
        return None if user is None else msgspec.convert(user, User)

    def server_time_ms(self) -> int:
        """The server's clock, which decides; `clock.error_ms` bounds the error."""
        return self.clock.now_ms()

    async def synchronise_clock(self, samples: int = 4) -> None:
        """Measure the server's clock at once, instead of by the heartbeats alone."""
        for _ in range(samples):
            sent_s = time.time()
            reply = await self.session.request("ping", self.options.request_deadline_s)
            self.clock.observe(sent_s, time.time(), int(reply["server_time"]))

    async def log_out(self) -> None:
        """End the log-in that this client made. Its access token is valid until it expires."""
        if isinstance(self._tokens, PasswordTokens):
            await self._tokens.log_out()


async def register(url: str, *, email: str, username: str, password: str, options: Options | None = None) -> User:
    """Register a user. Raises Refused (`username_taken`, `rate_limited`, …); it is not retried."""
    rest = Rest(url, None, options or Options())
    try:
        return await register_user(rest, email, username, password)
    finally:
        await rest.close()


def _tokens_of(
    rest: Rest, login: str | None, password: str | None, token: str | None, tokens: Tokens | None
) -> Tokens | None:
    given = sum(value is not None for value in (login, token, tokens))
    if given > 1 or (login is None) != (password is None):
        raise ValueError("give either login and password, or token, or tokens")
    if login is not None and password is not None:
        return PasswordTokens(rest, login, password)
    return FixedToken(token) if token is not None else tokens


def _result(reply: dict[str, Any]) -> BidResult:
    try:
        return msgspec.convert(reply, BidResult)
    except msgspec.ValidationError as error:
        raise UnexpectedAnswer(f"the answer to a bid: {error}") from error
