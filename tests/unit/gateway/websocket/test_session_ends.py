"""A hello with the cookies of the handshake, and what becomes of a socket when its user's session ends."""

from auction_examples import ANN
from virtual_time import turns, virtual

from gateway.identity.tokens import TokenIssuer
from gateway.websocket.connection import NO_CLIENT, SessionLimits, SocketClient
from gateway.websocket.operations.table import MSGPACK
from gateway.websocket.session import Session
from tests.unit.gateway.websocket.sessions import NOW_S, Client, Connection, Gateway, gateway

ENDED: set[str] = set()
TOKENS = TokenIssuer("a-secret-of-at-least-thirty-two-characters", ttl_s=900, ended=ENDED)


def client_of(g: Gateway, who: SocketClient = NO_CLIENT) -> Client:
    connection = Connection(MSGPACK)
    session = Session(
        connection, MSGPACK, g.operations, g.routes, g.hub, TOKENS, SessionLimits(), g.admission, g.traffic,
        g.clock.now_ms, client=who,
    )  # fmt: skip
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
        client, token = client_of(g), token_of("s-4")
        ENDED.add("s-4")
        assert (await client.ask("hello", token=token))["error"]["code"] == "unauthenticated"
        assert [code for code, _ in client.connection.closed] == [4503]


@virtual
async def test_an_open_socket_is_closed_with_4503_when_its_session_ends():
    async with gateway() as g:
        client = client_of(g)
        await client.ask("hello", token=token_of("s-5"))
        client.session.end()
        await turns(2)
        assert [code for code, _ in client.connection.closed] == [4503]
