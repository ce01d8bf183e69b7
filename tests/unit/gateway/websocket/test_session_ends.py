"""A hello with the cookies of the handshake, and what becomes of a socket when its user's session ends."""

import asyncio

from auction_examples import ANN
from virtual_time import turns, virtual

from gateway.identity.access_changes import GATHER_S, AccessChangeFeed
from gateway.identity.api_keys import ApiKeyCheck
from gateway.identity.credentials import Credentials
from gateway.websocket.connection import NO_CLIENT, SessionLimits, SocketClient
from gateway.websocket.operations.table import MSGPACK
from gateway.websocket.session import Session
from persistence.identity.access_changes import AccessChange
from persistence.identity.api_keys import KnownKey
from tests.unit.gateway.websocket.sessions import NOW_S, TOKENS, Client, Connection, Gateway, gateway


class Empty:
    """A database without keys and changes."""

    async def find(self, hashed: bytes, now_ms: int) -> KnownKey | None:
        return None

    async def recent(self, within_ms: int) -> list[AccessChange]:
        return []


def credentials(g: Gateway) -> Credentials:
    now_ms = g.clock.now_ms
    return Credentials(TOKENS, ApiKeyCheck(Empty(), now_ms), AccessChangeFeed(Empty(), 1_000_000, now_ms), now_ms)


def client_of(g: Gateway, who: SocketClient = NO_CLIENT, checks: Credentials | None = None) -> Client:
    connection = Connection(MSGPACK)
    session = Session(
        connection, MSGPACK, g.operations, g.routes, g.hub, TOKENS, SessionLimits(), g.admission, g.traffic,
        g.clock.now_ms, client=who, credentials=checks,
    )  # fmt: skip
    if checks is not None:
        checks.changes.changed.append(lambda _: session.access_changed())
    return Client(session, connection)


def token_of(session: str) -> str:
    return TOKENS.issue(ANN, "ann", (), NOW_S, session)


@virtual
async def test_a_hello_with_the_cookie_of_the_handshake_says_who_one_is():
    async with gateway() as g:
        page = client_of(g, SocketClient(cookie=token_of("s-1")))
        assert (await page.ask("hello", cookie=True))["user"]["username"] == "ann"
        assert "user" not in await page.ask("hello")


@virtual
async def test_a_token_counts_before_the_cookie():
    async with gateway() as g:
        page = client_of(g, SocketClient(cookie=token_of("s-2")))
        await page.ask("hello", cookie=True, token=token_of("s-3"))
        assert page.session.identity is not None
        assert page.session.identity.session == "s-3"


@virtual
async def test_without_a_cookie_of_the_handshake_such_a_hello_is_refused():
    async with gateway() as g:
        page = client_of(g)
        assert (await page.ask("hello", cookie=True))["error"]["code"] == "unauthenticated"
        assert [code for code, _ in page.connection.closed] == [4501]


@virtual
async def test_the_token_of_an_ended_session_closes_the_socket_with_4503():
    async with gateway() as g:
        checks = credentials(g)
        client, token = client_of(g, checks=checks), token_of("s-4")
        checks.changes.end(["s-4"])
        assert (await client.ask("hello", token=token))["error"]["code"] == "unauthenticated"
        assert [code for code, _ in client.connection.closed] == [4503]


@virtual
async def test_an_open_socket_is_closed_with_4503_when_its_session_ends():
    async with gateway() as g:
        checks = credentials(g)
        client, other = (client_of(g, checks=checks) for _ in range(2))
        await client.ask("hello", token=token_of("s-5"))
        await other.ask("hello", token=token_of("s-6"))
        checks.changes.end(["s-5"])
        await asyncio.sleep(GATHER_S)
        await turns(2)
        assert [code for code, _ in client.connection.closed] == [4503]
        assert other.connection.closed == []
