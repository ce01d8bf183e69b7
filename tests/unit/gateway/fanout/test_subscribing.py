"""Coming and leaving: a watcher gets the state and its place, and from then on what follows."""

import asyncio

import pytest
from auction_examples import AUCTION
from auction_requests import refused
from virtual_time import EPOCH_MS, turns, virtual

from domain.ids import id_text
from gateway.fanout.entity_channel import EARLY_UPDATES_MAX
from gateway.fanout.entity_channels import LINGER_S
from gateway.websocket.operations.table import JSON, MSGPACK
from tests.unit.gateway.websocket.sessions import CHANNEL, delivered, gateway, logged, update, watching

# -- subscribing


@virtual
async def test_a_subscriber_gets_the_state_and_its_position():
    async with gateway() as g:
        g.stands(seq=5, price=77)
        _, reply = await watching(g)
    assert (reply["ok"], reply["epoch"], reply["seq"], reply["recovered"]) == (True, 1, 5, False)
    assert (reply["state"]["price"], reply["state"]["id"]) == (77, id_text(AUCTION))
    assert "events" not in reply


@virtual
async def test_events_come_once_in_order_with_their_data():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        for seq in (3, 4, 5):
            g.listener.announce(update(seq, seq))
            await delivered(g)
        assert client.connection.taken() == [
            {"channel": CHANNEL, "epoch": 1, "seq": seq, "type": "bid", "at": EPOCH_MS + seq, "data": {"n": seq}}
            for seq in (3, 4, 5)
        ]


@virtual
async def test_the_host_is_asked_once_for_many_who_come_at_once():
    async with gateway() as g:
        g.stands()
        clients = [g.client() for _ in range(10)]
        for client in clients:
            await client.hello()
        for client in clients:
            client.send("subscribe", channel=CHANNEL)
        await turns(20)
        assert [len(client.connection.taken()) for client in clients] == [1] * 10
        assert g.routes.asked == 1


@pytest.mark.parametrize(
    "channel",
    ["", "auction", "auction:", "auction:x", "auction:" + "V" * 13, "trade:0000000000001", "users:0000000000002",
     "market", ":", "auction:0000000000001:x"],
)  # fmt: skip
def test_what_is_no_channel_is_not_found(channel: str):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            client = g.client()
            await client.hello()
            assert (await client.ask("subscribe", channel=channel))["error"]["code"] == "not_found"
            assert (await client.ask("unsubscribe", channel=channel))["ok"] is True
            assert g.hub.channels == 0

    scenario()


@virtual
async def test_an_auction_that_is_not_there_is_not_found_and_leaves_no_channel():
    async with gateway() as g:
        _, reply = await watching(g)
        assert reply["error"]["code"] == "not_found"
        assert g.hub.channels == 0


@virtual
async def test_while_the_host_is_away_subscribing_is_unavailable_and_later_works():
    async with gateway() as g:
        g.routes.states[AUCTION] = refused("unavailable", EPOCH_MS, retry_after_ms=500)
        client, reply = await watching(g)
        assert (reply["error"]["code"], reply["error"]["retry_after_ms"]) == ("unavailable", 500)
        g.stands()
        assert (await client.ask("subscribe", channel=CHANNEL))["ok"] is True
        g.listener.announce(update(3, 3))
        await delivered(g)
        assert client.events() == [(3, "bid")]


@virtual
async def test_updates_that_come_before_the_state_are_not_lost():
    async with gateway() as g:
        g.stands(seq=2)
        g.routes.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        client.send("subscribe", channel=CHANNEL)
        await turns()
        for seq in (2, 3, 4):
            g.listener.announce(update(seq, seq))
        await turns(20)
        g.routes.hold.set()
        await delivered(g)
        [reply] = [frame for frame in client.connection.frames if frame.get("ok")]
        # The reply stands where all that was announced has led; whatever follows lies after it.
        assert (reply["seq"], reply["state"]["bids"]) == (4, 4)
        assert [frame for frame in client.connection.frames if "channel" in frame] == []
        g.listener.announce(update(5, 5))
        await delivered(g)
        assert client.events() == [(5, "bid")]


@virtual
async def test_more_updates_before_the_state_than_are_buffered_leave_no_gap():
    async with gateway() as g:
        g.stands(seq=2)
        g.routes.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        client.send("subscribe", channel=CHANNEL)
        await turns()
        last = 3 + EARLY_UPDATES_MAX * 2
        for seq in range(3, last + 1):
            g.listener.announce(update(seq, seq))
        await turns(last * 3)
        g.routes.hold.set()
        await delivered(g)
        [reply] = [frame for frame in client.connection.frames if frame.get("ok")]
        assert (reply["seq"], reply["state"]["bids"]) == (last, last)


@virtual
async def test_nothing_comes_between_the_position_in_the_reply_and_the_reply():
    async with gateway() as g:
        g.stands(seq=2)
        first, _ = await watching(g)
        late = g.client()
        await late.hello()
        g.listener.announce(update(3, 3))
        await delivered(g)
        # Announced, and not yet sent on, when the other one comes.
        g.listener.announce(update(4, 4))
        late.send("subscribe", channel=CHANNEL)
        await delivered(g)
        frames = late.connection.taken()
        reply = next(frame for frame in frames if frame.get("id") == 2)
        after = [frame["seq"] for frame in frames[frames.index(reply) + 1 :]]
        assert [frame for frame in frames[: frames.index(reply)] if "channel" in frame] == []
        assert all(seq > reply["seq"] for seq in after)
        assert first.events() == [(3, "bid"), (4, "bid")]


@virtual
async def test_a_newcomer_does_not_get_what_its_reply_already_covers():
    async with gateway() as g:
        g.stands(seq=2)
        first, _ = await watching(g)
        late = g.client()
        await late.hello()
        g.listener.announce(update(3, 3))
        await delivered(g)
        g.listener.announce(update(4, 4))
        g.listener.announce(update(5, 5))
        await turns(4)
        reply = await late.ask("subscribe", channel=CHANNEL)
        assert reply["seq"] == 5
        await delivered(g)
        assert [frame["seq"] for frame in late.connection.taken() if "channel" in frame] == []
        assert first.events() == [(3, "bid"), (4, "bid"), (5, "bid")]


# -- leaving


@virtual
async def test_who_left_receives_nothing_more():
    async with gateway() as g:
        g.stands(seq=2)
        stays, _ = await watching(g)
        leaves, _ = await watching(g)
        await leaves.ask("unsubscribe", channel=CHANNEL)
        g.listener.announce(update(3, 3))
        await delivered(g)
        assert leaves.events() == []
        assert stays.events() == [(3, "bid")]


@virtual
async def test_a_channel_stays_warm_for_a_while_and_is_then_forgotten():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        client.session.closed()
        await asyncio.sleep(LINGER_S / 2)
        again, _ = await watching(g)
        assert g.routes.asked == 1
        # The first one's end must not take the channel from the second.
        await asyncio.sleep(LINGER_S * 2)
        g.listener.announce(update(3, 3))
        await delivered(g)
        assert again.events() == [(3, "bid")]
        again.session.closed()
        await asyncio.sleep(LINGER_S + 0.1)
        assert g.hub.channels == 0


@virtual
async def test_a_channel_is_not_forgotten_under_one_who_resumes():
    async with gateway() as g:
        g.stands(seq=5)
        g.history.events[AUCTION] = [logged(seq) for seq in range(1, 6)]
        gone, _ = await watching(g)
        gone.session.closed()
        await asyncio.sleep(LINGER_S - 0.5)
        g.history.hold = asyncio.Event()
        slow = g.client()
        await slow.hello()
        slow.send("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 2})
        # While the log is read the lingering ends, and another comes.
        await asyncio.sleep(1)
        other, _ = await watching(g)
        g.history.hold.set()
        await delivered(g)
        g.listener.announce(update(6, 6))
        await delivered(g)
        assert slow.events()[-1] == (6, "bid")
        assert other.events() == [(6, "bid")]


@virtual
async def test_watchers_of_both_codecs_get_the_same():
    async with gateway() as g:
        g.stands(seq=2)
        clients = [(await watching(g, codec=codec))[0] for codec in (MSGPACK, JSON)]
        g.listener.announce(update(4, 3, 4))
        await delivered(g)
        frames = [client.connection.taken() for client in clients]
    assert frames[0] == frames[1]
    assert len(frames[0]) == 2
