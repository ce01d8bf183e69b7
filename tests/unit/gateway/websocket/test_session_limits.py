"""What one socket may do, and how it ends: rates, subscriptions, slow readers, and nothing left behind."""

import asyncio
from typing import Any

import msgspec
from auction_requests import answered
from virtual_time import EPOCH_MS, turns, virtual

from domain.ids import id_text
from domain.rate_limit import Rate
from gateway.limits.leases import CREDIT_MAX, Leases
from gateway.limits.limiter import Limiter
from gateway.websocket.operations.table import JSON, MSGPACK
from gateway.websocket.token_bucket import VIOLATIONS_MAX
from tests.unit.gateway.websocket.sessions import BID, CHANNEL, Gateway, error, gateway, update


@virtual
async def test_who_sends_too_much_is_rate_limited_and_may_go_on_later():
    async with gateway() as g:
        client = g.client(commands_per_s=1_000, commands_burst=5)
        await client.hello()
        codes = [error(reply)["code"] for reply in await flood(client, 30) if not reply["ok"]]
        assert set(codes) == {"rate_limited"}
        assert 15 <= len(codes) <= 26
        assert client.connection.closed == []
        # Real time, since the limit is: a few milliseconds give a few commands.
        for _ in range(2_000):
            if (await client.ask("ping"))["ok"]:
                return
        raise AssertionError("never let in again")


async def flood(client: Any, count: int) -> list[dict[str, Any]]:
    for _ in range(count):
        client.send("ping")
    await turns()
    replies: list[dict[str, Any]] = client.connection.taken()
    assert len(replies) == count
    return replies


@virtual
async def test_a_rate_limited_command_says_when_to_come_again_and_does_nothing():
    async with gateway() as g:
        client = g.client(commands_per_s=1, commands_burst=1)
        await client.hello()
        reply = await client.ask("bid", **BID)
        assert error(reply) == {"code": "rate_limited", "server_time": EPOCH_MS, "retry_after_ms": 1_000}
        assert g.routes.sent == []


@virtual
async def test_the_sockets_of_an_account_share_its_rate():
    async with gateway() as g:
        g.leases = Leases(Limiter(), Rate(1_000_000, 20), lambda: 1.0)
        clients = [g.client(), g.client()]
        for client in clients:
            await client.hello()
        codes = []
        for n in range(80):
            client = clients[n % 2]
            client.send("bid", **BID)
            await turns()
            codes += [error(reply)["code"] for reply in client.connection.taken() if not reply["ok"]]
        assert set(codes) == {"rate_limited"}
        assert 20 <= len(g.routes.sent) <= 20 + CREDIT_MAX
        assert (await clients[0].ask("ping"))["ok"], "only commands count"
        await g.leases.stop()


@virtual
async def test_invalid_frames_count_as_commands():
    async with gateway() as g:
        client = g.client(commands_per_s=1, commands_burst=3)
        for _ in range(6):
            client.send_raw({"op": "sell", "id": 1})
        codes = [error(reply)["code"] for reply in client.connection.taken()]
        assert codes == ["invalid_frame"] * 3 + ["rate_limited"] * 3


@virtual
async def test_who_never_slows_down_is_closed():
    async with gateway() as g:
        client = g.client(commands_per_s=1, commands_burst=1)
        await client.hello()
        for _ in range(VIOLATIONS_MAX):
            client.send("ping")
        assert client.connection.closed == []
        client.send("ping")
        assert [code for code, _ in client.connection.closed] == [4002]


@virtual
async def test_a_thousand_subscriptions_are_too_many():
    async with gateway() as g:
        client = g.client(subscriptions_max=20, commands_burst=2_000)
        await client.hello()
        for number in range(1_000):
            g.stands(number)
            client.send("subscribe", channel=f"auction:{id_text(number)}")
        await turns(20)
        replies = client.connection.taken()
        assert sum(reply["ok"] for reply in replies) == 20
        assert {error(reply)["code"] for reply in replies if not reply["ok"]} == {"overloaded"}
        # One that is left makes room for another, and what fails takes none.
        await client.ask("unsubscribe", channel=f"auction:{id_text(0)}")
        assert error(await client.ask("subscribe", channel="auction:nothing"))["code"] == "not_found"
        assert (await client.ask("subscribe", channel=f"auction:{id_text(500)}"))["ok"] is True


@virtual
async def test_subscribing_and_leaving_in_one_go_leaves_nothing_behind():
    async with gateway() as g:
        g.stands()
        g.routes.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        for _ in range(5):
            client.send("subscribe", channel=CHANNEL)
            client.send("unsubscribe", channel=CHANNEL)
        await turns()
        g.routes.hold.set()
        await turns(20)
        replies = client.connection.taken()
        assert sorted(reply["id"] for reply in replies) == list(range(2, 12))
        g.listener.announce(update(3, 3))
        await asyncio.sleep(1)
        assert client.events() == []
        assert all(not channel.subscriptions for channel in g.auctions.channels.values())


@virtual
async def test_a_client_that_goes_while_it_subscribes_leaves_nothing_behind():
    async with gateway() as g:
        g.stands()
        g.routes.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        client.send("subscribe", channel=CHANNEL)
        await turns()
        client.session.closed()
        g.routes.hold.set()
        await turns(20)
        assert all(not channel.subscriptions for channel in g.auctions.channels.values())
        await asyncio.sleep(10)
        assert g.hub.channels == 0


@virtual
async def test_who_does_not_read_is_closed_and_may_come_back():
    async with gateway() as g:
        g.stands()
        slow, quick = g.client(unsent_bytes_max=1_000), g.client(unsent_bytes_max=1_000)
        for client in (slow, quick):
            await client.hello()
            await client.ask("subscribe", channel=CHANNEL)
        slow.connection.unsent = 1_001
        g.listener.announce(update(3, 3))
        await asyncio.sleep(0.1)
        assert [code for code, _ in slow.connection.closed] == [4001]
        assert quick.events() == [(3, "bid")]
        assert quick.connection.closed == []


@virtual
async def test_a_restart_closes_with_the_code_to_come_back():
    async with gateway() as g:
        client = g.client()
        await client.hello()
        client.session.restart()
        assert [code for code, _ in client.connection.closed] == [1012]


@virtual
async def test_an_answer_that_comes_after_the_client_is_gone_does_no_harm():
    async with gateway() as g:
        client = g.client()
        await client.hello()
        client.send("bid", **BID)
        client.connection.close(1000, "bye")
        client.session.closed()
        g.routes.sent[0][1](answered(1, 7, 100, "leading", 5, 6, 200))
        assert client.connection.frames == []


def test_a_session_starts_no_timer_that_outlives_it():
    @virtual
    async def scenario() -> None:
        g = Gateway()
        client = g.client()
        client.session.closed()
        await asyncio.sleep(10)
        assert client.connection.closed == []

    scenario()


def test_the_wire_is_the_same_map_in_both_codecs():
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            g.stands()
            replies = []
            for codec in (MSGPACK, JSON):
                client = g.client(codec)
                await client.hello()
                replies.append(await client.ask("subscribe", channel=CHANNEL))
                client.session.closed()
            assert replies[0] == replies[1]
            assert msgspec.convert(replies[0], dict)["state"]["leader"] == "ann"

    scenario()
