"""Resuming: what a watcher missed, from memory or from the log, or the newest state."""

import asyncio

import pytest
from auction_examples import AUCTION
from auction_requests import refused
from virtual_time import EPOCH_MS, turns, virtual

from gateway.fanout.channels import FanOutLimits
from tests.unit.gateway.websocket.sessions import CHANNEL, delivered, gateway, logged, update, watching

RESUME_EVENTS_MAX = FanOutLimits().resume_events_max


@virtual
async def test_resuming_with_nothing_missed_gives_no_events():
    async with gateway() as g:
        g.stands(seq=5)
        _, reply = await watching(g, {"epoch": 1, "seq": 5})
    assert (reply["recovered"], reply["events"]) == (True, [])


@virtual
async def test_resuming_from_memory_gives_what_was_missed():
    async with gateway() as g:
        g.stands(seq=2)
        await watching(g)
        for seq in (3, 4, 5):
            g.listener.announce(update(seq, seq))
        await delivered(g)
        _, reply = await watching(g, {"epoch": 1, "seq": 3})
        assert g.history.asked == 0
    assert reply["recovered"] is True
    assert "state" not in reply
    assert reply["events"] == [
        {"channel": CHANNEL, "epoch": 1, "seq": seq, "type": "bid", "at": EPOCH_MS + seq, "data": {"n": seq}}
        for seq in (4, 5)
    ]


@virtual
async def test_resuming_from_the_log_gives_a_thousand_missed_events():
    async with gateway() as g:
        g.stands(seq=1_002)
        g.history.events[AUCTION] = [logged(seq) for seq in range(1, 1_010)]
        _, reply = await watching(g, {"epoch": 1, "seq": 2})
    assert reply["recovered"] is True
    assert [(e["seq"], e["type"]) for e in reply["events"]] == [(seq, "opened") for seq in range(3, 1_003)]


@virtual
async def test_log_and_memory_are_joined_without_a_seam():
    async with gateway() as g:
        g.stands(seq=5)
        await watching(g)
        for seq in (6, 7):
            g.listener.announce(update(seq, seq))
        await delivered(g)
        g.history.events[AUCTION] = [logged(seq) for seq in range(1, 7)]
        _, reply = await watching(g, {"epoch": 1, "seq": 3})
    assert [(e["seq"], e["type"]) for e in reply["events"]] == [(4, "opened"), (5, "opened"), (6, "opened"), (7, "bid")]


@virtual
async def test_updates_that_come_while_the_log_is_read_are_in_the_reply_or_after_it():
    async with gateway() as g:
        g.stands(seq=5)
        g.history.events[AUCTION] = [logged(seq) for seq in range(1, 6)]
        g.history.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        client.send("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 2})
        await turns(10)
        for seq in (6, 7):
            g.listener.announce(update(seq, seq))
        await delivered(g)
        g.history.hold.set()
        await delivered(g)
        g.listener.announce(update(8, 8))
        await delivered(g)
        frames = client.connection.taken()
        reply = next(frame for frame in frames if frame.get("id") == 2)
        got = [e["seq"] for e in reply["events"]]
        got += [frame["seq"] for frame in frames if "channel" in frame]
        assert got == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "since",
    [
        {"epoch": 2, "seq": 5}, {"epoch": 0, "seq": 5}, {"epoch": 1, "seq": 5_000 - RESUME_EVENTS_MAX - 1},
        {"epoch": 1, "seq": 0},
    ],
)  # fmt: skip
def test_what_can_not_be_resumed_gives_the_state(since: dict[str, int]):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            g.stands(seq=5_000)
            g.history.events[AUCTION] = [logged(seq) for seq in range(1, 5_001)]
            _, reply = await watching(g, since)
        assert (reply["recovered"], reply["seq"], "events" in reply) == (False, 5_000, False)
        assert reply["state"]["status"] == "open"

    scenario()


@virtual
async def test_a_log_that_can_not_be_read_or_lacks_rows_gives_the_state():
    async with gateway() as g:
        g.stands(seq=5)
        g.history.down = True
        _, reply = await watching(g, {"epoch": 1, "seq": 2})
        assert reply["state"]["status"] == "open"
        g.history.down = False
        g.history.events[AUCTION] = [logged(3), logged(5)]
        _, reply = await watching(g, {"epoch": 1, "seq": 2})
        assert reply["state"]["status"] == "open"


@virtual
async def test_a_client_that_is_ahead_of_this_gateway_is_never_taken_back():
    """It comes from a gateway that received the update first."""
    async with gateway() as g:
        g.stands(seq=5)
        await watching(g)
        g.stands(seq=9)
        _, reply = await watching(g, {"epoch": 1, "seq": 9})
        assert (reply["recovered"], reply["seq"], reply["events"]) == (True, 9, [])


@virtual
async def test_a_client_that_is_ahead_waits_rather_than_being_taken_back_while_the_host_is_away():
    async with gateway() as g:
        g.stands(seq=5)
        client, _ = await watching(g)
        g.routes.states[AUCTION] = refused("unavailable", EPOCH_MS, retry_after_ms=500)
        reply = await client.ask("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 9})
        assert (reply["error"]["code"], reply["error"]["retry_after_ms"]) == ("unavailable", 500)
        g.stands(seq=9)
        assert (await client.ask("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 9}))["seq"] == 9


@virtual
async def test_a_client_from_the_future_gets_the_state_not_an_empty_resume():
    """It saw more than there is now."""
    async with gateway() as g:
        g.stands(seq=5)
        _, reply = await watching(g, {"epoch": 1, "seq": 9})
    assert (reply["recovered"], reply["seq"], "state" in reply) == (False, 5, True)


@virtual
async def test_subscribing_again_resumes_without_gap_or_repetition():
    async with gateway() as g:
        g.stands(seq=5)
        client, _ = await watching(g)
        g.history.events[AUCTION] = [logged(seq) for seq in range(1, 6)]
        g.history.hold = asyncio.Event()
        client.send("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 2})
        await turns(10)
        g.listener.announce(update(6, 6))
        await delivered(g)
        g.history.hold.set()
        await delivered(g)
        g.listener.announce(update(7, 7))
        await delivered(g)
        frames = client.connection.taken()
        reply = next(frame for frame in frames if frame.get("ok"))
        seen = [e["seq"] for e in reply["events"]]
        seen += [frame["seq"] for frame in frames[frames.index(reply) + 1 :]]
        assert seen == [3, 4, 5, 6, 7]


@virtual
async def test_so_many_resumes_read_the_log_at_once_and_the_others_get_the_newest_state():
    async with gateway() as g:
        g.stands(seq=5)
        g.history.events[AUCTION] = [logged(seq) for seq in (4, 5)]
        await watching(g)
        g.history.hold = asyncio.Event()
        log_reads_max = FanOutLimits().log_reads_max
        clients = [g.client() for _ in range(log_reads_max + 2)]
        for client in clients:
            await client.hello()
            client.send("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 3})
        await turns(8)
        assert g.history.asked == log_reads_max
        early = [reply for client in clients for reply in client.connection.taken()]
        assert [(reply["recovered"], reply["state"]["bids"]) for reply in early] == [(False, 1)] * 2
        g.history.hold.set()
        await turns(20)
        late = [reply for client in clients for reply in client.connection.taken()]
        assert [(reply["recovered"], len(reply["events"])) for reply in late] == [(True, 2)] * log_reads_max
