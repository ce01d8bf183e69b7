"""An API key as the token of hello: looked up once, limited by its scopes, and ended when it is revoked."""

from sessions import ANN, AUCTION, NOW_S, TOKENS, Client, Gateway, gateway

from domain.ids import id_text
from domain.permissions import DEFAULT_ROLES
from gateway.identity.access_changes import AccessChangeFeed
from gateway.identity.api_keys import ApiKeyCheck, key_hash, new_key
from gateway.identity.credentials import Credentials
from persistence.identity.access_changes import AccessChange
from persistence.identity.api_keys import KnownKey
from tests.virtual_time import turns, virtual

KEY_ID = 70
KEY = new_key()


class Stored:
    """The keys and changes of the database."""

    def __init__(self, *scopes: str, networks: tuple[str, ...] = ()) -> None:
        self.key = KnownKey(KEY_ID, ANN, "ann", DEFAULT_ROLES, scopes, networks, 10**15)
        self.changes: list[AccessChange] = []

    async def find(self, hashed: bytes, now_ms: int) -> KnownKey | None:
        return self.key if hashed == key_hash(KEY) else None

    async def recent(self, within_ms: int) -> list[AccessChange]:
        return self.changes


def credentials(g: Gateway, stored: Stored) -> Credentials:
    now_ms = g.clock.now_ms
    return Credentials(TOKENS, ApiKeyCheck(stored, now_ms), AccessChangeFeed(stored, 1_000_000, now_ms), now_ms)


def bid(client: Client, key: str = "k") -> int:
    return client.send("bid", auction=id_text(AUCTION), amount=5_000_000, key=key)


def code_of(frame: dict[str, object]) -> object:
    error = frame["error"]
    assert isinstance(error, dict)
    return error["code"]


@virtual
async def test_a_bid_that_follows_hello_at_once_waits_for_the_key() -> None:
    async with gateway() as g:
        client = g.client(credentials=credentials(g, Stored("bid")))
        hello = client.send("hello", token=KEY)
        bid(client)
        assert g.routes.sent == []
        reply = await client.ask("ping")
        assert reply["ok"]
        assert client.connection.frames[0] | {"id": hello, "ok": True} == client.connection.frames[0]
        assert client.connection.frames[0]["user"]["username"] == "ann"
        assert len(g.routes.sent) == 1


@virtual
async def test_a_key_does_on_a_socket_what_its_scopes_say() -> None:
    async with gateway() as g:
        client = g.client(credentials=credentials(g, Stored("account.read")))
        assert (await client.ask("hello", token=KEY))["ok"]
        refused = await client.ask("bid", auction=id_text(AUCTION), amount=5_000_000, key="k")
        assert code_of(refused) == "forbidden"
        bidder = g.client(credentials=credentials(g, Stored("bid")))
        assert (await bidder.ask("hello", token=KEY))["ok"]
        # Nor does it read what it has no scope for.
        assert not (await bidder.ask("subscribe", channel=f"user:{id_text(ANN)}"))["ok"]


@virtual
async def test_an_unknown_key_or_another_network_is_answered_and_closed() -> None:
    async with gateway() as g:
        for key, networks in ((new_key(), ()), (KEY, ("203.0.113.0/24",))):
            client = g.client(credentials=credentials(g, Stored("bid", networks=networks)), address="127.0.0.1")
            assert code_of(await client.ask("hello", token=key)) == "unauthenticated"
            assert [code for code, _ in client.connection.closed] == [4501]


@virtual
async def test_what_follows_a_refused_key_is_not_done_as_the_user_before() -> None:
    async with gateway() as g:
        client = g.client(credentials=credentials(g, Stored("bid")))
        assert (await client.hello())["ok"]
        hello = client.send("hello", token=new_key())
        bid(client)
        await turns(8)
        assert [(frame["id"], frame["ok"]) for frame in client.connection.frames] == [(hello, False)]
        assert [code for code, _ in client.connection.closed] == [4501]
        assert g.routes.sent == []


@virtual
async def test_a_cookie_from_before_a_change_of_roles_is_refused_and_an_api_key_is_no_cookie() -> None:
    async with gateway() as g:
        stored = Stored("bid")
        checks = credentials(g, stored)
        token = TOKENS.issue(ANN, "ann", DEFAULT_ROLES, NOW_S)
        assert (await g.client(credentials=checks, cookie=token).ask("hello", cookie=True))["ok"]
        stored.changes = [AccessChange(g.clock.now_ms(), ANN, None, 1)]
        await checks.changes.read()
        for cookie in (token, KEY):
            client = g.client(credentials=checks, cookie=cookie)
            assert code_of(await client.ask("hello", cookie=True)) == "unauthenticated"
            assert [code for code, _ in client.connection.closed] == [4501]


@virtual
async def test_the_socket_of_a_revoked_key_is_closed_and_a_token_from_before_a_change_may_not_bid() -> None:
    async with gateway() as g:
        stored = Stored("bid")
        checks = credentials(g, stored)
        bot, person = g.client(credentials=checks), g.client(credentials=checks)
        assert (await bot.ask("hello", token=KEY))["ok"]
        assert (await person.hello())["ok"]
        checks.changes.changed.append(lambda _: bot.session.access_changed())
        checks.changes.changed.append(lambda _: person.session.access_changed())
        stored.changes = [AccessChange(g.clock.now_ms(), ANN, KEY_ID)]
        await checks.changes.read()
        assert [code for code, _ in bot.connection.closed] == [4503]
        assert person.connection.closed == []
        stored.changes = [AccessChange(g.clock.now_ms(), ANN, None, 1)]
        await checks.changes.read()
        refused = await person.ask("bid", auction=id_text(AUCTION), amount=5_000_000, key="k")
        assert code_of(refused) == "unauthenticated"
