"""Watchers that read less than they are sent skip ahead to the newest state; nothing is skipped in silence."""

import asyncio
from typing import Any

import pytest
from auction_examples import AUCTION
from auction_requests import answered
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import EPOCH_MS, turns, virtual

from domain.ids import id_text
from gateway.fanout.broadcast import Broadcast
from gateway.fanout.channels import FanOutLimits
from gateway.fanout.entity_channel import FLUSH_CROWD_EVERY_S
from gateway.websocket.connection import SessionLimits
from gateway.websocket.operations.table import JSON
from gateway.websocket.protocol import DRAINED_BYTES
from gateway.websocket.subscriptions import BEHIND_CHECK_S
from tests.unit.gateway.websocket.sessions import (
    CHANNEL,
    Client,
    Connection,
    Gateway,
    delivered,
    gateway,
    logged,
    update,
)

UPDATES_UNSENT_BYTES_MAX = SessionLimits().updates_unsent_bytes_max
WATCHERS_PER_TURN = FanOutLimits().watchers_per_turn
MUCH = UPDATES_UNSENT_BYTES_MAX + 1
BID = {"auction": CHANNEL.removeprefix("auction:"), "amount": 5, "key": "k"}


async def watching(g: Gateway, **options: Any) -> Client:
    """A client that has said hello and watches the auction."""
    client = g.client(**options)
    await client.hello()
    await client.ask("subscribe", channel=CHANNEL)
    client.connection.taken()
    return client


def drain(client: Client) -> None:
    """The client takes all that waits for it, and its socket says so."""
    client.connection.unsent = 0
    client.session.drained()


# -- falling behind and catching up


@virtual
async def test_a_full_socket_gets_nothing_and_the_newest_state_once_it_has_drained():
    async with gateway() as g:
        g.stands()
        slow, quick = await watching(g), await watching(g)
        slow.connection.unsent = MUCH
        for seq in (3, 4, 5):
            g.listener.announce(update(seq, seq))
            await delivered(g)
        assert slow.events() == []
        assert quick.events() == [(3, "bid"), (4, "bid"), (5, "bid")]
        drain(slow)
        [frame] = slow.connection.taken()
        assert (frame["seq"], frame["type"], frame["data"]["bids"]) == (5, "state", 5)
        g.listener.announce(update(6, 6))
        await delivered(g)
        assert slow.events() == quick.events() == [(6, "bid")]


@virtual
async def test_what_still_fits_is_sent():
    async with gateway() as g:
        g.stands()
        client = await watching(g)
        client.connection.unsent = UPDATES_UNSENT_BYTES_MAX
        g.listener.announce(update(3, 3))
        await delivered(g)
        assert client.events() == [(3, "bid")]


@virtual
async def test_a_socket_that_does_not_say_that_it_drained_is_looked_at():
    async with gateway() as g:
        g.stands()
        client = await watching(g)
        client.connection.unsent = MUCH
        g.listener.announce(update(3, 3))
        await delivered(g)
        client.connection.unsent = 0
        await asyncio.sleep(BEHIND_CHECK_S)
        assert client.events() == [(3, "state")]


@virtual
async def test_who_missed_nothing_gets_no_state_for_draining():
    async with gateway() as g:
        g.stands()
        client = await watching(g)
        client.connection.unsent = MUCH
        drain(client)
        await asyncio.sleep(1)
        assert client.events() == []


@virtual
async def test_updates_on_their_way_are_not_repeated_after_the_state_that_has_them():
    async with gateway() as g:
        g.stands()
        client = await watching(g)
        client.connection.unsent = MUCH
        g.listener.announce(update(3, 3))
        await delivered(g)
        g.listener.announce(update(4, 4))
        await turns(2)
        g.listener.announce(update(5, 5))
        await turns(2)
        drain(client)
        await delivered(g)
        seqs = [seq for seq, _ in client.events()]
        assert seqs == sorted(set(seqs))
        assert seqs[-1] == 5


@virtual
async def test_each_channel_of_a_full_socket_catches_up():
    other = AUCTION + 1
    async with gateway() as g:
        g.stands()
        g.stands(other)
        client = await watching(g)
        assert (await client.ask("subscribe", channel=f"auction:{id_text(other)}"))["ok"] is True
        client.connection.unsent = MUCH
        g.listener.announce(update(3, 3), update(4, 3, 4, auction=other))
        await delivered(g)
        drain(client)
        assert sorted(client.events()) == [(3, "state"), (4, "state")]


@virtual
async def test_subscribing_again_with_since_brings_up_who_was_behind():
    async with gateway() as g:
        g.stands()
        client = await watching(g)
        client.connection.unsent = MUCH
        g.listener.announce(update(3, 3))
        await delivered(g)
        reply = await client.ask("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 2})
        assert [event["seq"] for event in reply["events"]] == [3]
        drain(client)
        await delivered(g)
        assert client.events() == []


@virtual
async def test_no_state_goes_out_while_the_reply_to_a_new_subscription_is_awaited():
    async with gateway() as g:
        g.stands()
        g.history.events[AUCTION] = [logged(1), logged(2)]
        client = await watching(g)
        client.connection.unsent = MUCH
        g.listener.announce(update(3, 3))
        await delivered(g)
        g.history.hold = asyncio.Event()
        wanted = client.send("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 0})
        await turns(8)
        drain(client)
        assert client.connection.taken() == []
        g.history.hold.set()
        await turns(8)
        assert [f["id"] for f in client.connection.taken()] == [wanted]
        await asyncio.sleep(1)
        assert client.events() == []


@virtual
async def test_who_unsubscribes_while_behind_receives_no_more():
    async with gateway() as g:
        g.stands()
        client = await watching(g)
        client.connection.unsent = MUCH
        g.listener.announce(update(3, 3))
        await delivered(g)
        await client.ask("unsubscribe", channel=CHANNEL)
        drain(client)
        await asyncio.sleep(1)
        assert client.events() == []


@virtual
async def test_who_leaves_while_behind_leaves_no_timer():
    async with gateway() as g:
        g.stands()
        client = await watching(g, stalled_after_s=1)
        client.connection.unsent = MUCH
        g.listener.announce(update(3, 3))
        await delivered(g)
        client.session.closed()
        await asyncio.sleep(5)
        assert client.connection.closed == []


# -- what never waits


@pytest.mark.parametrize("status", ["closed", "cancelled"])
def test_the_end_of_an_auction_goes_at_once_even_to_a_full_socket(status: str):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            g.stands()
            client = await watching(g)
            client.connection.unsent = MUCH
            g.listener.announce(update(3, 3))
            await delivered(g)
            g.listener.announce(update(4, 4, status=status))
            await turns(8)
            [frame] = client.connection.taken()
            assert (frame["seq"], frame["type"], frame["data"]["status"]) == (4, "state", status)
            drain(client)
            await asyncio.sleep(1)
            assert client.events() == []

    scenario()


@virtual
async def test_acks_go_at_once_while_updates_wait():
    async with gateway() as g:
        g.stands()
        client = await watching(g)
        client.connection.unsent = MUCH
        wanted = client.send("bid", **BID)
        g.listener.announce(update(3, 3))
        await delivered(g)
        g.routes.sent[0][1](answered(1, 3, 100, "leading", 5, 6, 200))
        assert [f.get("id") for f in client.connection.taken()] == [wanted]


@virtual
async def test_a_crowd_is_notified_in_turns_and_each_of_it_once():
    async with gateway() as g:
        g.stands()
        crowd = [await watching(g) for _ in range(WATCHERS_PER_TURN * 2 + 1)]
        await asyncio.sleep(1)
        g.listener.announce(update(3, 3))
        while not any(client.connection.frames for client in crowd):
            await turns(1)
        assert sum(bool(client.connection.frames) for client in crowd) < len(crowd)
        # What comes meanwhile follows when all were notified.
        g.listener.announce(update(4, 4, status="closed"))
        await delivered(g)
        assert {tuple(client.events()) for client in crowd} == {((3, "bid"), (4, "bid"))}


@virtual
async def test_who_comes_late_in_a_crowd_gets_the_state_of_that_moment_and_only_once():
    async with gateway() as g:
        g.stands()
        crowd = [await watching(g) for _ in range(WATCHERS_PER_TURN * 2)]
        await asyncio.sleep(1)
        g.listener.announce(update(20))
        while not any(client.connection.frames for client in crowd):
            await turns(1)
        g.auctions.channels[AUCTION].apply(update(21, 21))
        await delivered(g)
        early, late = ((20, "state"), (21, "bid")), ((21, "state"),)
        assert sorted(tuple(client.events()) for client in crowd) == [early] * (len(crowd) // 2) + [late] * (
            len(crowd) // 2
        )


@pytest.mark.parametrize(("work_s", "pause_s"), [(0.0, 0.02), (0.067, 0.1), (9.0, FLUSH_CROWD_EVERY_S)])
def test_the_more_work_a_crowd_is_the_less_often_it_is_notified(
    monkeypatch: pytest.MonkeyPatch, work_s: float, pause_s: float
):
    monkeypatch.setattr(Broadcast, "work_s", lambda _: work_s)

    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            g.stands()
            client = await watching(g)
            await asyncio.sleep(1)
            g.listener.announce(update(3, 3))
            await turns(8)
            assert client.events() == [(3, "bid")]
            g.listener.announce(update(4, 4))
            await asyncio.sleep(pause_s * 0.95)
            assert client.events() == []
            await asyncio.sleep(pause_s * 0.1)
            assert client.events() == [(4, "bid")]

    scenario()


# -- who never reads


@virtual
async def test_a_client_that_takes_nothing_at_all_is_closed_after_a_while():
    async with gateway() as g:
        g.stands()
        client = await watching(g, stalled_after_s=2)
        client.connection.unsent = MUCH
        g.listener.announce(update(3, 3))
        await asyncio.sleep(1.9)
        assert client.connection.closed == []
        await asyncio.sleep(1)
        assert [code for code, _ in client.connection.closed] == [4001]


@virtual
async def test_a_client_that_reads_little_by_little_stays():
    async with gateway() as g:
        g.stands()
        client = await watching(g, stalled_after_s=2)
        client.connection.unsent = MUCH + 100
        g.listener.announce(update(3, 3))
        for _ in range(10):
            await asyncio.sleep(1)
            client.connection.unsent -= 1
        assert client.connection.closed == []
        assert client.events() == []


# -- how many watch


@virtual
async def test_replies_and_states_say_how_many_watch_here():
    async with gateway() as g:
        g.stands()
        first = await watching(g)
        second = g.client(JSON)
        await second.hello()
        assert (await second.ask("subscribe", channel=CHANNEL))["watchers"] == 2
        g.listener.announce(update(9, 9))
        await delivered(g)
        [frame] = first.connection.taken()
        assert (frame["type"], frame["watchers"]) == ("state", 2)
        second.session.closed()
        g.listener.announce(update(10, 10))
        await delivered(g)
        [frame] = first.connection.taken()
        assert (frame["type"], "watchers" in frame) == ("bid", False)


# -- whatever happens


class Narrow(Connection):
    """A socket through which little goes: every byte counts a hundredfold."""

    def write_frame(self, frame: bytes) -> None:
        self.unsent += len(frame) * 100
        super().write_frame(frame)


def take(client: Client, size: int) -> None:
    """The client takes so much; a full socket that is empty enough by that says so."""
    socket = client.connection
    was_full = socket.unsent > UPDATES_UNSENT_BYTES_MAX
    socket.unsent = max(0, socket.unsent - size)
    if was_full and socket.unsent <= DRAINED_BYTES:
        client.session.drained()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("update"), st.integers(1, 12)),
        st.tuples(st.just("lost"), st.integers(1, 3)),
        st.tuples(st.just("take"), st.integers(1, 60_000)),
        st.tuples(st.just("wait"), st.integers(0, 400)),
    ),
    max_size=40,
)


def assert_no_silent_gap(frames: list[dict[str, Any]], seq: int) -> int:
    """Each frame is the next event or a state ahead; returns where they lead."""
    for frame in frames:
        assert frame["seq"] == seq + 1 or (frame["type"] == "state" and frame["seq"] > seq), (seq, frame)
        seq = frame["seq"]
    return seq


@settings(max_examples=150)
@given(STEPS)
def test_however_a_client_reads_it_ends_with_the_newest_state_and_no_silent_gap(steps: list[tuple[str, int]]):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            g.stands()
            client = await watching(g)
            client.connection.__class__ = Narrow
            seq = 2
            for step, amount in steps:
                if step == "update":
                    g.listener.announce(update(seq + amount, *range(seq + 1, seq + amount + 1)))
                    seq += amount
                elif step == "lost":
                    seq += amount
                elif step == "take":
                    take(client, amount)
                else:
                    await asyncio.sleep(amount / 1000)
            g.listener.announce(update(seq + 1, seq + 1))
            for _ in range(3):
                await asyncio.sleep(BEHIND_CHECK_S)
                take(client, 10_000_000)
            assert client.connection.closed == []
            frames = [frame for frame in client.connection.frames if "channel" in frame]
            assert assert_no_silent_gap(frames, 2) == seq + 1
            last = frames[-1]
            assert last["data"].get("bids", last["seq"]) == seq + 1
            assert last["at"] == EPOCH_MS + seq + 1

    scenario()


@virtual
async def test_how_much_may_wait_before_updates_is_a_setting():
    async with gateway() as g:
        g.stands()
        client = await watching(g, updates_unsent_bytes_max=1_024)
        client.connection.unsent = 1_025
        g.listener.announce(update(3, 3))
        await delivered(g)
        assert client.events() == []
        client.connection.unsent = 1_024
        client.session.drained()
        assert client.events() == [(3, "state")]
