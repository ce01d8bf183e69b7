"""The channel of a trade: for its parties alone, with who is there and who types, on all gateways."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from virtual_time import EPOCH_MS, turns, virtual

from actors.stream.messages import PublicEvent, StateAnswer, Update
from domain.ids import id_text
from domain.permissions import DEFAULT_ROLES
from domain.trade.commands import Dispute, Execute
from domain.trade.state import Trade
from domain.trade.views import public_state
from gateway.fanout.trade_channels import PRESENT_FOR_MS, RENEWED_EVERY_S, TYPING_EVERY_MS, WAITING_MAX
from gateway.websocket.operations.table import JSON
from persistence.log.history import LoggedEvent
from persistence.redis.announcements import PRESENCE_CHANNEL, updates_channel
from tests.unit.domain.trade.trade_examples import ANN, BOB, CID, MODERATOR, START, TRADE, after, confirmed, opened
from tests.unit.gateway.websocket.sessions import NOW_S, TOKENS, Client, Gateway, Redis, gateway

CHANNEL = f"trade:{id_text(TRADE)}"
OPERATOR = ("moderator",)


def stands(g: Gateway, trade: Trade, seq: int = 2) -> None:
    """What the host says of the trade from now on."""
    raw = msgspec.Raw(msgspec.msgpack.encode(public_state(trade, EPOCH_MS, "shared")))
    g.routes.states[TRADE] = StateAnswer(1, seq, EPOCH_MS, raw, False)


def message(seq: int, text: str = "hello") -> Update[Any]:
    """A message to the parties, as the host publishes it."""
    data = msgspec.Raw(msgspec.msgpack.encode({"by": id_text(BOB), "number": 1, "text": text}))
    raw = msgspec.Raw(msgspec.msgpack.encode(public_state(opened(), EPOCH_MS, "shared")))
    return Update(TRADE, "trade", 1, seq, EPOCH_MS, raw, False, [PublicEvent(seq, EPOCH_MS, "message", data)])


async def says(g: Gateway, user: int, roles: tuple[str, ...] = DEFAULT_ROLES, **options: Any) -> Client:
    client = g.client(**options)
    await client.hello(user, f"user{user}", roles=roles)
    return client


async def subscribed(g: Gateway, user: int, roles: tuple[str, ...] = DEFAULT_ROLES, **options: Any) -> Client:
    client = await says(g, user, roles, **options)
    assert (await client.ask("subscribe", channel=CHANNEL))["ok"], user
    return client


def taken(client: Client, kind: str) -> list[Any]:
    """The data of the frames of this type that came since the last look."""
    frames = [frame for frame in client.connection.frames if frame.get("type") == kind]
    client.connection.frames = [frame for frame in client.connection.frames if frame not in frames]
    return [frame["data"] for frame in frames]


def present(*users: int) -> dict[str, list[str]]:
    return {"present": [id_text(user) for user in users]}


def disputed() -> Trade:
    executed = after(confirmed(), Execute(0, 0, 0, START + 10**9), now_ms=START)
    return after(executed, Dispute(ANN, "d", "It is not the card of the picture"))


@virtual
async def test_only_the_parties_may_subscribe_and_resume():
    async with gateway() as g:
        stands(g, opened())
        g.history.events[TRADE] = [LoggedEvent(1, seq, EPOCH_MS, None, "message", {"text": "secret"}) for seq in (1, 2)]
        await subscribed(g, ANN)
        for user, roles in ((CID, DEFAULT_ROLES), (MODERATOR, OPERATOR)):
            stranger = await says(g, user, roles)
            for since in ({}, {"since": {"epoch": 1, "seq": 1}}):
                reply = await stranger.ask("subscribe", channel=CHANNEL, **since)
                assert (reply["error"]["code"], reply["error"]["message"]) == ("not_found", "there is no such trade")
            g.listener._heard.put_nowait((updates_channel(0), msgspec.msgpack.encode([message(3)])))
            await asyncio.sleep(0.1)
            assert [frame for frame in stranger.connection.taken() if "channel" in frame] == []
        reply = await (await says(g, BOB)).ask("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 1})
        assert [event["seq"] for event in reply["events"]] == [2, 3]


@virtual
async def test_a_trade_that_is_not_there_looks_the_same_to_a_stranger():
    async with gateway() as g:
        stranger = await says(g, CID)
        missing = await stranger.ask("subscribe", channel=CHANNEL)
        stands(g, opened())
        hidden = await stranger.ask("subscribe", channel=CHANNEL)
        missing["error"].pop("server_time"), hidden["error"].pop("server_time")
        assert missing["error"] == hidden["error"]


@virtual
async def test_without_a_token_there_is_nothing():
    async with gateway() as g:
        stands(g, opened())
        client = g.client()
        await client.hello(user=None)
        assert (await client.ask("subscribe", channel=CHANNEL))["error"]["code"] == "unauthenticated"


@virtual
async def test_after_the_token_has_expired_nothing_is_sent_not_even_what_waited_for_a_slow_client():
    async with gateway() as g:
        stands(g, opened())
        ann = await subscribed(g, ANN)
        await asyncio.sleep(TOKENS.ttl_s - 2)
        ann.connection.unsent = 10**5
        g.listener._heard.put_nowait((updates_channel(0), msgspec.msgpack.encode([message(3)])))
        await asyncio.sleep(0.1)
        assert ann.session.behind == 1
        await asyncio.sleep(3)
        ann.connection.taken()
        ann.connection.unsent = 0
        ann.session.drained()
        g.listener._heard.put_nowait((updates_channel(0), msgspec.msgpack.encode([message(4)])))
        await asyncio.sleep(1)
        assert ann.connection.taken() == []
        await ann.hello(ANN, at_s=NOW_S + TOKENS.ttl_s + 2)
        assert [frame["seq"] for frame in ann.connection.taken() if frame.get("type") == "state"] == [4]


@virtual
async def test_another_user_of_the_same_socket_gets_nothing_more():
    async with gateway() as g:
        stands(g, opened())
        ann = await subscribed(g, ANN)
        await ann.hello(CID, "cid")
        ann.connection.taken()
        g.listener._heard.put_nowait((updates_channel(0), msgspec.msgpack.encode([message(3)])))
        await asyncio.sleep(0.1)
        assert ann.connection.taken() == []


@virtual
async def test_a_subscription_in_flight_ends_when_the_socket_gets_another_user():
    async with gateway() as g:
        stands(g, opened())
        g.routes.hold = asyncio.Event()
        client = await says(g, ANN)
        wanted = client.send("subscribe", channel=CHANNEL)
        await turns(4)
        await client.hello(CID, "cid")
        g.routes.hold.set()
        await turns(8)
        [reply] = [frame for frame in client.connection.taken() if frame.get("id") == wanted]
        assert (reply["error"]["code"], client.session.subscriptions) == ("unauthenticated", 0)
        g.listener._heard.put_nowait((updates_channel(0), msgspec.msgpack.encode([message(3)])))
        await asyncio.sleep(0.1)
        assert client.connection.taken() == []


@virtual
async def test_a_moderator_may_subscribe_once_there_is_a_dispute_and_is_never_shown_as_present():
    async with gateway() as g:
        stands(g, disputed())
        moderator = await subscribed(g, MODERATOR, OPERATOR)
        assert taken(moderator, "presence") == [present()]
        assert (await moderator.ask("trade_typing", trade=id_text(TRADE)))["ok"]
        await turns(8)
        assert taken(moderator, "typing") == []
        assert (await (await says(g, CID)).ask("subscribe", channel=CHANNEL))["error"]["code"] == "not_found"


@virtual
async def test_the_parties_see_who_of_them_is_there_on_every_gateway():
    redis = Redis()
    async with AsyncExitStack() as stack:
        here, there = [await stack.enter_async_context(gateway(redis=redis)) for _ in range(2)]
        stands(here, opened())
        stands(there, opened())
        ann = await subscribed(here, ANN)
        await turns(8)
        assert taken(ann, "presence") == [present(ANN)]
        bob = await subscribed(there, BOB, codec=JSON)
        await turns(20)
        assert (taken(ann, "presence")[-1], taken(bob, "presence")[-1]) == (present(ANN, BOB), present(ANN, BOB))
        await bob.ask("unsubscribe", channel=CHANNEL)
        await turns(8)
        assert taken(ann, "presence") == [present(ANN)]


@virtual
async def test_a_user_with_two_sockets_is_there_until_the_last_one_is_gone():
    async with gateway() as g:
        stands(g, opened())
        ann, first, second = await subscribed(g, ANN), await subscribed(g, BOB), await subscribed(g, BOB)
        first.session.closed()
        await turns(8)
        assert taken(ann, "presence")[-1] == present(ANN, BOB)
        second.session.closed()
        await turns(8)
        assert taken(ann, "presence")[-1] == present(ANN)


@virtual
async def test_who_was_on_a_gateway_that_died_is_gone_by_itself_and_others_stay():
    redis = Redis()
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(gateway(redis=redis))
        dying = AsyncExitStack()
        there = await dying.enter_async_context(gateway(redis=redis))
        stands(here, opened())
        stands(there, opened())
        ann, _bob = await subscribed(here, ANN), await subscribed(there, BOB)
        await turns(20)
        redis.listeners.remove(there.listener)
        await dying.aclose()
        taken(ann, "presence")
        await asyncio.sleep(PRESENT_FOR_MS / 1000 + RENEWED_EVERY_S + 1)
        assert taken(ann, "presence") == [present(ANN)]


@virtual
async def test_typing_is_seen_by_the_others_and_at_most_once_a_second():
    async with gateway() as g:
        stands(g, opened())
        ann, bob = await subscribed(g, ANN), await subscribed(g, BOB)
        for _ in range(3):
            assert (await bob.ask("trade_typing", trade=id_text(TRADE)))["ok"]
        await turns(8)
        [typing] = taken(ann, "typing")
        assert (typing["by"], typing["until"] > g.clock.now_ms()) == (id_text(BOB), True)
        await asyncio.sleep(TYPING_EVERY_MS / 1000)
        await bob.ask("trade_typing", trade=id_text(TRADE))
        await turns(8)
        assert len(taken(ann, "typing")) == 1


@virtual
async def test_nobody_types_where_they_are_not_subscribed():
    async with gateway() as g:
        stands(g, opened())
        ann, stranger = await subscribed(g, ANN), await says(g, CID)
        for trade in (id_text(TRADE), "nonsense"):
            assert (await stranger.ask("trade_typing", trade=trade))["error"]["code"] == "not_found"
        await turns(8)
        assert taken(ann, "typing") == []


@virtual
async def test_signals_that_are_broken_or_too_many_are_dropped_without_harm():
    async with gateway() as g:
        stands(g, opened())
        ann, bob = await subscribed(g, ANN), await subscribed(g, BOB)
        await turns(8)
        taken(ann, "presence")
        g.listener.publish(PRESENCE_CHANNEL, b"nonsense")
        g.redis.waiting = WAITING_MAX
        await bob.ask("trade_typing", trade=id_text(TRADE))
        await turns(8)
        assert ann.connection.taken() == []
        g.listener._heard.put_nowait((updates_channel(0), msgspec.msgpack.encode([message(3)])))
        await asyncio.sleep(0.1)
        assert ann.events() == [(3, "message")]
