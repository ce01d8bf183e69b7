"""Fan-out: each watcher gets each event once and in order, or a state that replaces what it missed."""

import asyncio
from typing import Any

import pytest
from auction_examples import AUCTION
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import CHANNEL, Client, Gateway, gateway, logged, news
from structlog.testing import capture_logs
from virtual_time import EPOCH_MS, turns, virtual

from actors.messages import Refused
from domain.ids import id_text
from gateway.channels import EARLY_NEWS_MAX, EVENTS_PER_FLUSH_MAX, TAIL_EVENTS_MAX, FanOutLimits
from gateway.frames import JSON, MSGPACK
from gateway.hub import LINGER_S

RESUME_EVENTS_MAX = FanOutLimits().resume_events_max


async def watching(g: Gateway, since: dict[str, int] | None = None, **options: Any) -> tuple[Client, dict[str, Any]]:
    """A client that has said hello and watches the auction, and the reply to its subscription."""
    client = g.client(**options)
    await client.hello()
    reply = await client.ask("subscribe", channel=CHANNEL, **({} if since is None else {"since": since}))
    client.connection.taken()
    return client, reply


async def told(g: Gateway) -> None:
    """Long enough for what was announced to be sent."""
    await asyncio.sleep(0.1)


# -- subscribing


@virtual
async def test_a_subscriber_gets_the_state_and_its_place():
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
            g.listener.announce(news(seq, seq))
            await told(g)
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
    ["", "auction", "auction:", "auction:x", "auction:" + "V" * 13, "trade:0000000000001", "user:0000000000002",
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
            assert g.hub._channels == {}

    scenario()


@virtual
async def test_an_auction_that_is_not_there_is_not_found_and_not_kept():
    async with gateway() as g:
        _, reply = await watching(g)
        assert reply["error"]["code"] == "not_found"
        assert g.hub._channels == {}


@virtual
async def test_while_the_host_is_away_subscribing_is_unavailable_and_later_works():
    async with gateway() as g:
        g.routes.states[AUCTION] = Refused("unavailable", EPOCH_MS, retry_after_ms=500)
        client, reply = await watching(g)
        assert (reply["error"]["code"], reply["error"]["retry_after_ms"]) == ("unavailable", 500)
        g.stands()
        assert (await client.ask("subscribe", channel=CHANNEL))["ok"] is True
        g.listener.announce(news(3, 3))
        await told(g)
        assert client.events() == [(3, "bid")]


@virtual
async def test_news_that_comes_before_the_state_is_not_lost():
    async with gateway() as g:
        g.stands(seq=2)
        g.routes.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        client.send("subscribe", channel=CHANNEL)
        await turns()
        for seq in (2, 3, 4):
            g.listener.announce(news(seq, seq))
        await turns(20)
        g.routes.hold.set()
        await told(g)
        [reply] = [frame for frame in client.connection.frames if frame.get("ok")]
        # The reply stands where all that was announced has led; whatever follows lies after it.
        assert (reply["seq"], reply["state"]["bids"]) == (4, 4)
        assert [frame for frame in client.connection.frames if "channel" in frame] == []
        g.listener.announce(news(5, 5))
        await told(g)
        assert client.events() == [(5, "bid")]


@virtual
async def test_more_news_before_the_state_than_is_kept_leaves_no_hole():
    async with gateway() as g:
        g.stands(seq=2)
        g.routes.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        client.send("subscribe", channel=CHANNEL)
        await turns()
        last = 3 + EARLY_NEWS_MAX * 2
        for seq in range(3, last + 1):
            g.listener.announce(news(seq, seq))
        await turns(last * 3)
        g.routes.hold.set()
        await told(g)
        [reply] = [frame for frame in client.connection.frames if frame.get("ok")]
        assert (reply["seq"], reply["state"]["bids"]) == (last, last)


@virtual
async def test_nothing_comes_between_the_place_in_the_reply_and_the_reply():
    async with gateway() as g:
        g.stands(seq=2)
        first, _ = await watching(g)
        late = g.client()
        await late.hello()
        g.listener.announce(news(3, 3))
        await told(g)
        # Announced, and not yet sent on, when the other one comes.
        g.listener.announce(news(4, 4))
        late.send("subscribe", channel=CHANNEL)
        await told(g)
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
        g.listener.announce(news(3, 3))
        await told(g)
        g.listener.announce(news(4, 4))
        g.listener.announce(news(5, 5))
        await turns(4)
        reply = await late.ask("subscribe", channel=CHANNEL)
        assert reply["seq"] == 5
        await told(g)
        assert [frame["seq"] for frame in late.connection.taken() if "channel" in frame] == []
        assert first.events() == [(3, "bid"), (4, "bid"), (5, "bid")]


# -- resuming


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
            g.listener.announce(news(seq, seq))
        await told(g)
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
            g.listener.announce(news(seq, seq))
        await told(g)
        g.history.events[AUCTION] = [logged(seq) for seq in range(1, 7)]
        _, reply = await watching(g, {"epoch": 1, "seq": 3})
    assert [(e["seq"], e["type"]) for e in reply["events"]] == [(4, "opened"), (5, "opened"), (6, "opened"), (7, "bid")]


@virtual
async def test_news_that_comes_while_the_log_is_read_is_in_the_reply_or_after_it():
    async with gateway() as g:
        g.stands(seq=5)
        g.history.events[AUCTION] = [logged(seq) for seq in range(1, 6)]
        g.history.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        client.send("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 2})
        await turns(10)
        for seq in (6, 7):
            g.listener.announce(news(seq, seq))
        await told(g)
        g.history.hold.set()
        await told(g)
        g.listener.announce(news(8, 8))
        await told(g)
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
    """It comes from a gateway that heard the news first."""
    async with gateway() as g:
        g.stands(seq=5)
        await watching(g)
        g.stands(seq=9)
        _, reply = await watching(g, {"epoch": 1, "seq": 9})
        assert (reply["recovered"], reply["seq"], reply["events"]) == (True, 9, [])


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
        g.listener.announce(news(6, 6))
        await told(g)
        g.history.hold.set()
        await told(g)
        g.listener.announce(news(7, 7))
        await told(g)
        frames = client.connection.taken()
        reply = next(frame for frame in frames if frame.get("ok"))
        seen = [e["seq"] for e in reply["events"]]
        seen += [frame["seq"] for frame in frames[frames.index(reply) + 1 :]]
        assert seen == [3, 4, 5, 6, 7]


# -- gaps, floods, ends


@virtual
async def test_a_gap_is_closed_by_the_state():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.listener.announce(news(6, 5, 6))
        await told(g)
        [frame] = client.connection.taken()
        assert (frame["type"], frame["seq"], frame["data"]["bids"]) == ("state", 6, 6)
        g.listener.announce(news(7, 7))
        await told(g)
        assert client.events() == [(7, "bid")]


@virtual
async def test_a_reminder_closes_the_gap_that_a_lost_last_word_left():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.listener.announce(news(3, status="closed"))
        await told(g)
        [frame] = client.connection.taken()
        assert (frame["type"], frame["seq"], frame["data"]["status"]) == ("state", 3, "closed")
        # Said again, it is no news.
        g.listener.announce(news(3, status="closed"))
        await told(g)
        assert client.events() == []


@virtual
async def test_old_news_and_repeated_news_are_dropped():
    async with gateway() as g:
        g.stands(seq=5)
        client, _ = await watching(g)
        for seqs in ((4,), (5,), (6,), (6,), (5, 6), (3, 4)):
            g.listener.announce(news(seqs[-1], *seqs))
            await told(g)
        assert client.events() == [(6, "bid")]


@virtual
async def test_news_that_overlaps_gives_only_what_is_new():
    async with gateway() as g:
        g.stands(seq=5)
        client, _ = await watching(g)
        g.listener.announce(news(7, 4, 5, 6, 7))
        await told(g)
        assert client.events() == [(6, "bid"), (7, "bid")]


@virtual
async def test_a_new_epoch_gives_the_state_also_with_a_lower_sequence():
    async with gateway() as g:
        g.stands(seq=9)
        client, _ = await watching(g)
        g.listener.announce(news(4, 4, epoch=2))
        await told(g)
        [frame] = client.connection.taken()
        assert (frame["type"], frame["epoch"], frame["seq"]) == ("state", 2, 4)
        g.listener.announce(news(10, 10))
        await told(g)
        assert client.events() == []


@virtual
async def test_a_flood_becomes_one_state():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.listener.announce(news(3, 3))
        await told(g)
        client.connection.taken()
        last = 3 + EVENTS_PER_FLUSH_MAX + 1
        for seq in range(4, last + 1):
            g.listener.announce(news(seq, seq))
        await told(g)
        sent = client.events()
        assert sent[-1] == (last, "state")
        assert len(sent) <= 2


@virtual
async def test_as_many_events_as_one_can_follow_are_sent_as_they_are():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.listener.announce(news(2 + EVENTS_PER_FLUSH_MAX, *range(3, 3 + EVENTS_PER_FLUSH_MAX)))
        await told(g)
        assert client.events() == [(seq, "bid") for seq in range(3, 3 + EVENTS_PER_FLUSH_MAX)]


@virtual
async def test_the_end_is_told_without_waiting():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.listener.announce(news(3, 3))
        await turns(5)
        g.listener.announce(news(4, 4, status="closed"))
        await turns(5)
        assert client.events() == [(3, "bid"), (4, "bid")]


@virtual
async def test_memory_of_a_channel_is_bounded():
    async with gateway() as g:
        g.stands(seq=2)
        await watching(g)
        for seq in range(3, TAIL_EVENTS_MAX * 2):
            g.listener.announce(news(seq, seq))
        await told(g)
        assert len(g.hub._channels[AUCTION].tail) == TAIL_EVENTS_MAX


@virtual
async def test_after_a_reconnect_to_redis_every_channel_is_caught_up():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.stands(seq=7, status="closed")
        g.listener.reconnected()
        await told(g)
        [frame] = client.connection.taken()
        assert (frame["type"], frame["seq"], frame["data"]["status"]) == ("state", 7, "closed")
        assert g.routes.looked_up == 1


@virtual
async def test_catching_up_goes_on_until_the_host_answers():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        g.routes.states[AUCTION] = Refused("unavailable", EPOCH_MS)
        g.listener.reconnected()
        await asyncio.sleep(3)
        g.stands(seq=7, status="closed")
        await asyncio.sleep(10)
        assert client.events() == [(7, "state")]


@virtual
async def test_news_that_can_not_be_read_is_logged_and_the_hub_goes_on():
    async with gateway() as g:
        g.stands(seq=2)
        client, _ = await watching(g)
        with capture_logs() as logs:
            for message in (b"", b"\xc1", b"\x91\x01", b"nonsense"):
                g.listener.say("ece:news:0", message)
            await told(g)
        assert [entry["event"] for entry in logs] == ["unreadable_news"] * 4
        g.listener.announce(news(3, 3))
        await told(g)
        assert client.events() == [(3, "bid")]


@virtual
async def test_a_changed_directory_is_looked_up():
    async with gateway() as g:
        g.listener.directory_changed()
        await told(g)
        assert g.routes.looked_up == 1


@virtual
async def test_news_of_auctions_that_nobody_watches_costs_nothing():
    async with gateway() as g:
        g.listener.announce(news(3, 3))
        await told(g)
        assert g.hub._channels == {}


# -- leaving


@virtual
async def test_who_left_hears_nothing_more():
    async with gateway() as g:
        g.stands(seq=2)
        stays, _ = await watching(g)
        leaves, _ = await watching(g)
        await leaves.ask("unsubscribe", channel=CHANNEL)
        g.listener.announce(news(3, 3))
        await told(g)
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
        g.listener.announce(news(3, 3))
        await told(g)
        assert again.events() == [(3, "bid")]
        again.session.closed()
        await asyncio.sleep(LINGER_S + 0.1)
        assert g.hub._channels == {}


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
        await told(g)
        g.listener.announce(news(6, 6))
        await told(g)
        assert slow.events()[-1] == (6, "bid")
        assert other.events() == [(6, "bid")]


@virtual
async def test_watchers_of_both_codecs_get_the_same():
    async with gateway() as g:
        g.stands(seq=2)
        clients = [(await watching(g, codec=codec))[0] for codec in (MSGPACK, JSON)]
        g.listener.announce(news(4, 3, 4))
        await told(g)
        frames = [client.connection.taken() for client in clients]
    assert frames[0] == frames[1]
    assert len(frames[0]) == 2


# -- whatever happens

deliveries = st.lists(
    st.tuples(
        st.sampled_from(["news", "news", "news", "lost", "twice", "reminder", "reconnect"]),
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
                if fate in ("news", "twice"):
                    g.listener.announce(news(seq, *new))
                if fate == "twice":
                    g.listener.announce(news(seq, *new))
                if fate == "reminder":
                    g.listener.announce(news(seq))
                if fate == "reconnect":
                    g.listener.reconnected()
                if act == "join" and len(clients) < 5:
                    clients.append(await joined(g, positions))
                if act == "resume":
                    clients[0].send("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 2})
                if act == "leave" and len(clients) > 1:
                    clients.pop().session.closed()
                await asyncio.sleep(pause)
            g.listener.announce(news(seq))
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
