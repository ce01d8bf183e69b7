"""Fan-out: each watcher gets each event once and in order, or a state that replaces what it missed."""

import asyncio
from typing import Any

from auction_examples import AUCTION
from auction_requests import refused
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from virtual_time import EPOCH_MS, turns, virtual

from gateway.fanout.entity_channel import EVENTS_PER_FLUSH_MAX, TAIL_EVENTS_MAX
from tests.unit.gateway.websocket.sessions import CHANNEL, Client, Gateway, delivered, gateway, logged, update, watching

# -- gaps, floods, ends


@virtual
async def test_a_gap_is_closed_by_the_state():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.listener.announce(update(6, 5, 6))
        await delivered(g)
        [frame] = client.connection.taken()
        assert (frame["type"], frame["seq"], frame["data"]["bids"]) == ("state", 6, 6)
        g.listener.announce(update(7, 7))
        await delivered(g)
        assert client.events() == [(7, "bid")]


@virtual
async def test_a_reminder_closes_the_gap_that_a_lost_last_update_left():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.listener.announce(update(3, status="closed"))
        await delivered(g)
        [frame] = client.connection.taken()
        assert (frame["type"], frame["seq"], frame["data"]["status"]) == ("state", 3, "closed")
        # Sent again, it is nothing new.
        g.listener.announce(update(3, status="closed"))
        await delivered(g)
        assert client.events() == []


@virtual
async def test_old_updates_and_repeated_updates_are_dropped():
    async with gateway() as g:
        g.stands(seq=5)
        client, _ = await watching(g)
        for seqs in ((4,), (5,), (6,), (6,), (5, 6), (3, 4)):
            g.listener.announce(update(seqs[-1], *seqs))
            await delivered(g)
        assert client.events() == [(6, "bid")]


@virtual
async def test_overlapping_updates_give_only_what_is_new():
    async with gateway() as g:
        g.stands(seq=5)
        client, _ = await watching(g)
        g.listener.announce(update(7, 4, 5, 6, 7))
        await delivered(g)
        assert client.events() == [(6, "bid"), (7, "bid")]


@virtual
async def test_a_new_epoch_gives_the_state_also_with_a_lower_sequence():
    async with gateway() as g:
        g.stands(seq=9)
        client, _ = await watching(g)
        g.listener.announce(update(4, 4, epoch=2))
        await delivered(g)
        [frame] = client.connection.taken()
        assert (frame["type"], frame["epoch"], frame["seq"]) == ("state", 2, 4)
        g.listener.announce(update(10, 10))
        await delivered(g)
        assert client.events() == []


@virtual
async def test_a_flood_becomes_one_state():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.listener.announce(update(3, 3))
        await delivered(g)
        client.connection.taken()
        last = 3 + EVENTS_PER_FLUSH_MAX + 1
        for seq in range(4, last + 1):
            g.listener.announce(update(seq, seq))
        await delivered(g)
        sent = client.events()
        assert sent[-1] == (last, "state")
        assert len(sent) <= 2


@virtual
async def test_as_many_events_as_one_can_follow_are_sent_as_they_are():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.listener.announce(update(2 + EVENTS_PER_FLUSH_MAX, *range(3, 3 + EVENTS_PER_FLUSH_MAX)))
        await delivered(g)
        assert client.events() == [(seq, "bid") for seq in range(3, 3 + EVENTS_PER_FLUSH_MAX)]


@virtual
async def test_a_crowd_gets_a_state_where_much_happens_and_events_otherwise():
    for crowd_watchers, told_of_three in ((2, [(7, "state")]), (3, [(5, "bid"), (6, "bid"), (7, "bid")])):
        async with gateway(crowd_watchers=crowd_watchers) as g:
            g.stands()
            crowd = [(await watching(g))[0] for _ in range(3)]
            g.listener.announce(update(4, 3, 4))
            await delivered(g)
            assert [client.events() for client in crowd] == [[(3, "bid"), (4, "bid")]] * 3
            g.listener.announce(update(7, 5, 6, 7))
            await delivered(g)
            assert [client.events() for client in crowd] == [told_of_three] * 3


@virtual
async def test_the_end_is_sent_without_waiting():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.listener.announce(update(3, 3))
        await turns(5)
        g.listener.announce(update(4, 4, status="closed"))
        await turns(5)
        assert client.events() == [(3, "bid"), (4, "bid")]


@virtual
async def test_memory_of_a_channel_is_bounded():
    async with gateway() as g:
        g.stands(seq=2)
        await watching(g)
        for seq in range(3, TAIL_EVENTS_MAX * 2):
            g.listener.announce(update(seq, seq))
        await delivered(g)
        assert len(g.auctions.channels[AUCTION].tail) == TAIL_EVENTS_MAX


@virtual
async def test_after_a_reconnect_to_redis_every_channel_is_caught_up():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.stands(seq=7, status="closed")
        g.listener.reconnected()
        await delivered(g)
        [frame] = client.connection.taken()
        assert (frame["type"], frame["seq"], frame["data"]["status"]) == ("state", 7, "closed")
        assert g.routes.looked_up == 1


@virtual
async def test_catching_up_goes_on_until_the_host_answers():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.routes.states[AUCTION] = refused("unavailable", EPOCH_MS)
        g.listener.reconnected()
        await asyncio.sleep(3)
        g.stands(seq=7, status="closed")
        await asyncio.sleep(10)
        assert client.events() == [(7, "state")]


@virtual
async def test_updates_that_can_not_be_read_are_logged_and_the_hub_goes_on():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        with capture_logs() as logs:
            for message in (b"", b"\xc1", b"\x91\x01", b"nonsense"):
                g.listener.publish("ece:updates:0", message)
            await delivered(g)
        assert [entry["event"] for entry in logs] == ["unreadable_update"] * 4
        g.listener.announce(update(3, 3))
        await delivered(g)
        assert client.events() == [(3, "bid")]


@virtual
async def test_a_changed_directory_is_looked_up():
    async with gateway() as g:
        g.listener.directory_changed()
        await delivered(g)
        assert g.routes.looked_up == 1


@virtual
async def test_updates_of_auctions_that_nobody_watches_cost_nothing():
    async with gateway() as g:
        g.listener.announce(update(3, 3))
        await delivered(g)
        assert g.hub.channels == 0


# -- whatever happens

deliveries = st.lists(
    st.tuples(
        st.sampled_from(["update", "update", "update", "lost", "twice", "reminder", "reconnect"]),
        st.integers(1, 12),
        st.sampled_from([0, 0, 0.005, 0.03, 0.2]),
        st.sampled_from(["none", "none", "none", "join", "resume", "leave"]),
    ),
    max_size=25,
)
"""(what becomes of the next announcement, how many events it has, pause, what a client does)."""


@given(deliveries)
@settings(max_examples=60)
def test_whatever_is_lost_each_watcher_sees_a_sequence_without_gap_and_ends_where_the_auction_is(
    deliveries: list[tuple[str, int, float, str]],
):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            seq = 2
            g.stands(seq=seq, bids=seq)
            g.history.events[AUCTION] = [logged(n) for n in range(1, 400)]
            clients = [(await watching(g))[0]]
            positions = {id(clients[0]): 2}
            for fate, count, pause, act in deliveries:
                new = range(seq + 1, seq + count + 1)
                seq += count
                g.stands(seq=seq, bids=seq)
                if fate in ("update", "twice"):
                    g.listener.announce(update(seq, *new))
                if fate == "twice":
                    g.listener.announce(update(seq, *new))
                if fate == "reminder":
                    g.listener.announce(update(seq))
                if fate == "reconnect":
                    g.listener.reconnected()
                if act == "join" and len(clients) < 5:
                    clients.append(await joined(g, positions))
                if act == "resume":
                    clients[0].send("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 2})
                if act == "leave" and len(clients) > 1:
                    clients.pop().session.closed()
                await asyncio.sleep(pause)
            g.listener.announce(update(seq))
            await asyncio.sleep(1)
            for client in clients:
                assert followed(client, positions[id(client)]) == seq

    scenario()


async def joined(g: Gateway, positions: dict[int, int]) -> Client:
    client, reply = await watching_unread(g)
    positions[id(client)] = reply["seq"]
    return client


async def watching_unread(g: Gateway) -> tuple[Client, dict[str, Any]]:
    client = g.client()
    await client.hello()
    return client, await client.ask("subscribe", channel=CHANNEL)


def followed(client: Client, position: int) -> int:
    """Where the frames lead; each event is the next one, each state is not behind, each reply says where one is."""
    for frame in client.connection.taken():
        if frame.get("ok"):
            position = frame["seq"]
            continue
        assert frame["channel"] == CHANNEL
        if frame["type"] == "state":
            assert frame["seq"] > position
            assert frame["data"]["bids"] == frame["seq"]
        else:
            assert frame["seq"] == position + 1
        position = frame["seq"]
    return position
