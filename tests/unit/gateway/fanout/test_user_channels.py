"""One's own channel: notifications as they are made, each once, and to nobody else."""

import msgspec
import pytest
from auction_examples import ANN, BOB
from virtual_time import turns, virtual

from gateway.fanout import stored_channels
from gateway.fanout.user_channels import EVENTS_MAX, UserChannels, channel_of
from gateway.websocket.operations.table import JSON
from persistence.redis.announcements import USERS_CHANNEL
from tests.unit.gateway.websocket.sessions import NOW_S, Client, Gateway, gateway

MINE = channel_of(ANN)
encode = msgspec.msgpack.encode


async def following(g: Gateway, **since: int) -> tuple[Client, dict[str, object]]:
    """Ann, who follows her channel, and the reply to her subscription."""
    client = g.client()
    await client.hello()
    return client, await client.ask("subscribe", channel=MINE, **({"since": since} if since else {}))


@virtual
async def test_notifications_come_as_they_are_made():
    async with gateway() as g:
        g.inboxes.add(ANN, "card_listed")
        ann, reply = await following(g)
        assert {"epoch": 1, "seq": 1, "recovered": False, "state": {"seq": 1}}.items() <= reply.items()
        g.inboxes.add(ANN, "search_match", "auction_ended")
        g.users.received(msgspec.msgpack.encode([ANN, BOB]))
        await turns(8)
        [first, second] = ann.connection.taken()
        assert (first["channel"], first["seq"], first["type"]) == (MINE, 2, "search_match")
        assert first["data"] == {"id": "0000000000035", "n": 1}
        assert (second["seq"], second["type"]) == (3, "auction_ended")


@virtual
async def test_a_workers_message_comes_over_redis():
    async with gateway() as g:
        ann, _ = await following(g)
        other = g.client(JSON)
        await other.hello()
        await other.ask("subscribe", channel=MINE)
        g.inboxes.add(ANN, "card_listed")
        g.listener.publish(USERS_CHANNEL, msgspec.msgpack.encode([BOB, ANN]))
        g.listener.publish(USERS_CHANNEL, b"nonsense")
        await turns(8)
        assert ann.events() == other.events() == [(1, "card_listed")]


@virtual
async def test_a_lost_message_is_made_up_for_when_redis_is_back():
    async with gateway() as g:
        ann, _ = await following(g)
        g.inboxes.add(ANN, "card_listed")
        await turns(8)
        assert ann.events() == []
        g.listener.reconnected()
        await turns(8)
        assert ann.events() == [(1, "card_listed")]


@virtual
async def test_and_without_any_message_after_a_while(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(UserChannels, "poll_every_s", 0.0)
    async with gateway() as g:
        ann, _ = await following(g)
        g.inboxes.add(ANN, "card_listed")
        await turns(20)
        assert ann.events() == [(1, "card_listed")]


@virtual
async def test_who_comes_back_gets_what_was_missed_or_a_state():
    async with gateway() as g:
        g.inboxes.add(ANN, *["card_listed"] * 3)
        ann, reply = await following(g, epoch=1, seq=1)
        assert reply["recovered"] is True
        assert [event["seq"] for event in reply["events"]] == [2, 3]  # type: ignore[attr-defined]
        for since in ({"epoch": 2, "seq": 1}, {"epoch": 1, "seq": 4}):
            again = await ann.ask("subscribe", channel=MINE, since=since)
            assert (again["recovered"], again["state"]) == (False, {"seq": 3})
        # More than a channel hands out.
        await ann.ask("unsubscribe", channel=MINE)
        g.inboxes.add(ANN, *["card_listed"] * EVENTS_MAX)
        assert (await ann.ask("subscribe", channel=MINE, since={"epoch": 1, "seq": 1}))["recovered"] is False


@virtual
async def test_who_saw_more_elsewhere_is_shown_no_less():
    async with gateway() as g:
        await following(g)
        g.inboxes.add(ANN, "card_listed", "card_listed")
        _, reply = await following(g, epoch=1, seq=2)
        assert (reply["seq"], reply["recovered"], reply["events"]) == (2, True, [])


@virtual
async def test_very_many_at_once_come_as_a_state():
    async with gateway() as g:
        ann, _ = await following(g)
        g.inboxes.add(ANN, *["card_listed"] * (EVENTS_MAX + 2))
        g.users.received(msgspec.msgpack.encode([ANN]))
        await turns(20)
        assert ann.events() == [(EVENTS_MAX + 1, "state"), (EVENTS_MAX + 2, "card_listed")]


@virtual
async def test_nobody_follows_another_users_channel():
    async with gateway() as g:
        bob, visitor = g.client(), g.client()
        await bob.hello(BOB, "bob")
        await visitor.hello(None)
        assert (await bob.ask("subscribe", channel=MINE))["error"]["code"] == "forbidden"
        assert (await bob.ask("subscribe", channel="user:nonsense"))["error"]["code"] == "forbidden"
        assert (await visitor.ask("subscribe", channel=MINE))["error"]["code"] == "unauthenticated"
        g.inboxes.add(ANN, "card_listed")
        g.users.received(msgspec.msgpack.encode([ANN]))
        await turns(8)
        assert bob.events() == visitor.events() == []


@virtual
async def test_with_another_user_on_the_socket_the_channel_ends():
    async with gateway() as g:
        client, _ = await following(g)
        await client.hello(BOB, "bob")
        g.inboxes.add(ANN, "card_listed")
        g.users.received(msgspec.msgpack.encode([ANN]))
        await turns(8)
        assert (client.events(), client.session.subscriptions, g.users.channels) == ([], 0, {})


@virtual
async def test_a_new_token_in_the_same_turn_as_a_subscribe_does_not_end_it():
    async with gateway() as g:
        ann = g.client()
        await ann.hello()
        wanted = ann.send("subscribe", channel=MINE)
        await ann.hello(at_s=NOW_S + 1)
        [reply] = [frame for frame in ann.connection.taken() if frame.get("id") == wanted]
        assert (reply["ok"], ann.session.subscriptions) == (True, 1)
        g.inboxes.add(ANN, "card_listed")
        g.users.received(msgspec.msgpack.encode([ANN]))
        await turns(8)
        assert ann.events() == [(1, "card_listed")]


@virtual
async def test_while_the_token_is_not_valid_nothing_is_delivered_and_a_new_one_makes_up_for_it():
    async with gateway() as g:
        ann, _ = await following(g)
        g.clock.offset_ms += 901_000
        g.inboxes.add(ANN, "card_listed")
        g.users.received(msgspec.msgpack.encode([ANN]))
        await turns(8)
        assert ann.events() == []
        assert (await ann.ask("subscribe", channel=MINE))["error"]["code"] == "unauthenticated"
        await ann.hello(at_s=NOW_S + 901)
        assert ann.events() == [(1, "state")]


@virtual
async def test_a_database_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stored_channels, "RETRY_S", 0.0)
    async with gateway() as g:
        ann, _ = await following(g)
        g.inboxes.add(ANN, "card_listed")
        g.inboxes.down = True
        g.users.received(msgspec.msgpack.encode([ANN]))
        await turns(8)
        assert (await ann.ask("subscribe", channel=MINE))["error"]["code"] == "unavailable"
        g.inboxes.down = False
        await turns(20)
        assert ann.events() == [(1, "card_listed")]


@virtual
async def test_a_channel_nobody_follows_any_more_is_forgotten():
    async with gateway() as g:
        ann, _ = await following(g)
        assert list(g.users.channels) == [ANN]
        await ann.ask("unsubscribe", channel=MINE)
        assert g.users.channels == {}


@virtual
async def test_a_position_beyond_all_numbers_is_refused_and_one_beyond_all_notifications_is_not():
    async with gateway() as g:
        g.inboxes.add(ANN, "card_listed")
        _, refused = await following(g, epoch=1, seq=2**63)
        assert (refused["ok"], refused["error"]["code"]) == (False, "invalid_frame")  # type: ignore[index]
        _, reply = await following(g, epoch=1, seq=2**53)
        assert {"ok": True, "recovered": False, "state": {"seq": 1}}.items() <= reply.items()


@virtual
async def test_a_fault_of_ours_below_one_s_own_channel_is_answered(monkeypatch: pytest.MonkeyPatch):
    async with gateway() as g:

        async def broken(_user: int) -> None:
            raise RuntimeError("value out of int64 range")

        monkeypatch.setattr(g.inboxes, "inbox", broken)
        _, reply = await following(g)
        assert (reply["ok"], reply["error"]["code"]) == (False, "internal_error")  # type: ignore[index]
