"""Following a channel: drops, gaps, repetitions, reorderings, slow readers."""

import asyncio
from typing import Any

import pytest

from ece_client import (
    AccessToken,
    Client,
    ConnectionLost,
    Event,
    Feed,
    Options,
    Position,
    Refused,
    Signal,
    Snapshot,
)
from tests.unit.bench.wire.wire_server import Session, serving

CHANNEL = "auction:a1"


def event(seq: int, epoch: int = 1) -> dict[str, Any]:
    return {"channel": CHANNEL, "epoch": epoch, "seq": seq, "type": "bid", "at": seq, "data": {"n": seq}}


def state(seq: int, epoch: int = 1) -> dict[str, Any]:
    return {"channel": CHANNEL, "epoch": epoch, "seq": seq, "type": "state", "at": seq, "data": {"upto": seq}}


async def give_state(session: Session, seq: int, epoch: int = 1) -> dict[str, Any]:
    asked = await session.next()
    await session.answer(asked, epoch=epoch, seq=seq, recovered=False, watchers=1, state={"upto": seq})
    return asked


async def give_events(session: Session, *seqs: int) -> dict[str, Any]:
    asked = await session.next()
    last = seqs[-1] if seqs else asked["since"]["seq"]
    await session.answer(asked, epoch=1, seq=last, recovered=True, watchers=1, events=[event(seq) for seq in seqs])
    return asked


async def read(feed: Feed, number: int) -> list[Event | Snapshot | Signal]:
    async with asyncio.timeout(5):
        return [await anext(feed) for _ in range(number)]


def brief(updates: list[Event | Snapshot | Signal]) -> list[Any]:
    """Events as their seq, states as (seq, reason)."""
    return [
        update.seq if isinstance(update, Event) else (update.seq, update.reason)
        for update in updates
        if not isinstance(update, Signal)
    ]


def subscriptions(sessions: list[Session]) -> list[Any]:
    return [frame.get("since") for session in sessions for frame in session.frames if frame["op"] == "subscribe"]


async def test_a_state_first_and_then_the_events():
    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 4)
        await session.send(event(5))
        await session.send(event(6))
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client, client.follow(CHANNEL) as feed:
        updates = await read(feed, 3)
        assert feed.position == Position(1, 6)
    assert updates == [
        Snapshot(CHANNEL, 1, 4, {"upto": 4}, "subscribed"),
        Event(CHANNEL, 1, 5, "bid", 5, {"n": 5}),
        Event(CHANNEL, 1, 6, "bid", 6, {"n": 6}),
    ]


async def test_after_a_lost_connection_it_resumes_where_it_was():
    async def script(session: Session) -> None:
        await session.greet()
        if session.number == 0:
            await give_state(session, 4)
            await session.send(event(5))
            await session.socket.close(1012)
            return
        await give_events(session, 6, 7)
        await session.send(event(8))
        await session.socket.wait_closed()

    async with serving(script) as (url, sessions), Client(url) as client, client.follow(CHANNEL) as feed:
        assert brief(await read(feed, 5)) == [(4, "subscribed"), 5, 6, 7, 8]
        assert (feed.counts.resumes, feed.counts.gaps) == (1, 0)
    assert subscriptions(sessions) == [None, {"epoch": 1, "seq": 5}]


async def test_what_was_missed_and_can_not_be_had_is_replaced_by_a_state_that_says_so():
    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 4 if session.number == 0 else 9_000)
        if session.number == 0:
            session.socket.transport.abort()
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client, client.follow(CHANNEL) as feed:
        assert brief(await read(feed, 2)) == [(4, "subscribed"), (9_000, "missed")]


async def test_a_gap_is_fetched_and_the_order_kept():
    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 4)
        await session.send(event(7))
        await session.send(event(8))
        await give_events(session, 5, 6, 7)
        await session.send(event(9))
        await session.socket.wait_closed()

    async with serving(script) as (url, sessions), Client(url) as client, client.follow(CHANNEL) as feed:
        assert brief(await read(feed, 6)) == [(4, "subscribed"), 5, 6, 7, 8, 9]
        assert feed.counts.gaps == 1
    assert subscriptions(sessions) == [None, {"epoch": 1, "seq": 4}]


async def test_repetitions_are_left_out():
    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 4)
        for seq in (4, 5, 5, 3, 6):
            await session.send(event(seq))
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client, client.follow(CHANNEL) as feed:
        assert brief(await read(feed, 3)) == [(4, "subscribed"), 5, 6]
        assert feed.counts.duplicates == 3


async def test_events_before_the_reply_are_applied_after_it():
    async def script(session: Session) -> None:
        await session.greet()
        asked = await session.next()
        for seq in (4, 5, 6):
            await session.send(event(seq))
        await session.answer(asked, epoch=1, seq=5, recovered=False, state={"upto": 5})
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client, client.follow(CHANNEL) as feed:
        assert brief(await read(feed, 2)) == [(5, "subscribed"), 6]


async def test_a_state_of_the_server_replaces_the_events_before_it():
    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 4)
        await session.send(state(30))
        await session.send(event(31))
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client, client.follow(CHANNEL) as feed:
        assert brief(await read(feed, 3)) == [(4, "subscribed"), (30, "server"), 31]


async def test_another_epoch_is_subscribed_to_anew():
    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 4)
        await session.send(event(5, epoch=2))
        await give_state(session, 3, epoch=2)
        await session.send(event(4, epoch=2))
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client, client.follow(CHANNEL) as feed:
        assert brief(await read(feed, 3)) == [(4, "subscribed"), (3, "missed"), 4]


async def test_a_gateway_that_is_behind_does_not_take_the_reader_back():
    async def script(session: Session) -> None:
        await session.greet()
        if session.number == 0:
            await give_state(session, 10)
            await session.socket.close(1012)
            return
        await give_state(session, 8)
        await give_state(session, 11)
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client, client.follow(CHANNEL) as feed:
        assert brief(await read(feed, 2)) == [(10, "subscribed"), (11, "missed")]


async def test_a_slow_reader_gets_the_newest_state_and_is_told():
    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 0)
        await session.answer(await session.next(), server_time=1)
        for seq in range(1, 31):
            await session.send(event(seq))
        # The reply to this shows that the client has received all of them.
        await session.answer(await session.next(), server_time=1)
        await give_state(session, 30)
        await session.send(event(31))
        await session.socket.wait_closed()

    options = Options(updates_max=10)
    async with (
        serving(script) as (url, sessions), Client(url, options=options) as client, client.follow(CHANNEL) as feed
    ):  # fmt: skip
        assert brief(await read(feed, 1)) == [(0, "subscribed")]
        await client.synchronise_clock(samples=2)
        assert feed.counts.dropped == 30
        assert brief(await read(feed, 2)) == [(30, "slow_reader"), 31]
    assert subscriptions(sessions) == [None, None]


async def test_signals_come_through_without_a_place_in_the_order():
    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 4)
        await session.send({"channel": CHANNEL, "type": "typing", "at": 1, "data": {"by": "ann"}})
        await session.send(event(5))
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client, client.follow(CHANNEL) as feed:
        updates = await read(feed, 3)
    assert updates[1] == Signal(CHANNEL, "typing", {"by": "ann"})
    assert brief(updates) == [(4, "subscribed"), 5]


async def test_a_feed_outlasts_a_renewal_of_its_token_that_reaches_nobody():
    class Unreachable:
        renewals = 0

        async def access_token(self) -> AccessToken:
            return AccessToken(f"t{self.renewals}")

        async def renew(self, refused: str) -> AccessToken:
            self.renewals += 1
            if self.renewals == 1:
                raise ConnectionLost(1006, "REST can't be reached")
            return await self.access_token()

    async def script(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.next(), "unauthenticated")
        await session.refuse(await session.next(), "unauthenticated")
        await session.greet()
        await give_state(session, 4)
        await session.socket.wait_closed()

    async with (
        serving(script) as (url, sessions), Client(url, tokens=Unreachable()) as client, client.follow(CHANNEL) as feed
    ):  # fmt: skip
        assert brief(await read(feed, 1)) == [(4, "subscribed")]
    assert len(sessions) == 1


async def test_what_only_the_reply_to_another_feed_of_the_channel_has_is_fetched():
    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 4)
        # On the server both feeds are one subscription: what the second reply covers is not sent again.
        await give_state(session, 6)
        await give_events(session, 5, 6)
        await session.socket.wait_closed()

    async with serving(script) as (url, sessions), Client(url) as client, client.follow(CHANNEL) as one:
        assert brief(await read(one, 1)) == [(4, "subscribed")]
        async with client.follow(CHANNEL) as other:
            assert brief(await read(other, 1)) == [(6, "subscribed")]
            assert brief(await read(one, 2)) == [5, 6]
    assert subscriptions(sessions) == [None, None, {"epoch": 1, "seq": 4}]


async def test_a_channel_that_is_refused_ends_its_feed_only():
    async def script(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.next(), "not_found")
        await give_state(session, 1)
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client:
        async with client.follow("auction:none") as feed:
            with pytest.raises(Refused):
                await anext(feed)
        async with client.follow(CHANNEL) as feed:
            assert brief(await read(feed, 1)) == [(1, "subscribed")]


async def test_an_overloaded_gateway_is_asked_again():
    async def script(session: Session) -> None:
        await session.greet()
        await session.refuse(await session.next(), "overloaded", retry_after_ms=10)
        await give_state(session, 1)
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client, client.follow(CHANNEL) as feed:
        assert brief(await read(feed, 1)) == [(1, "subscribed")]


async def test_the_last_feed_of_a_channel_unsubscribes():
    unsubscribed = asyncio.Event()

    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 1)
        await give_state(session, 1)
        await session.send(event(2))
        frame = await session.next()
        assert (frame["op"], frame["channel"]) == ("unsubscribe", CHANNEL)
        unsubscribed.set()
        await session.answer(frame)
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client:
        async with client.follow(CHANNEL) as one:
            async with client.follow(CHANNEL) as other:
                assert brief(await read(one, 2)) == brief(await read(other, 2)) == [(1, "subscribed"), 2]
            assert not unsubscribed.is_set()
        await asyncio.wait_for(unsubscribed.wait(), 5)


async def test_no_more_channels_than_allowed_are_followed():
    async def script(session: Session) -> None:
        await session.greet()
        await session.socket.wait_closed()

    options = Options(feeds_max=1)
    async with serving(script) as (url, _), Client(url, options=options) as client, client.follow("auction:a"):
        with pytest.raises(Refused):
            client.session.follow("auction:b")


async def test_when_the_client_closes_the_iteration_ends():
    async def script(session: Session) -> None:
        await session.greet()
        await give_state(session, 1)
        await session.socket.wait_closed()

    async with serving(script) as (url, _), Client(url) as client:
        feed = client.session.follow(CHANNEL)
        assert brief(await read(feed, 1)) == [(1, "subscribed")]
        reading = asyncio.create_task(anext(feed, None))
    assert await asyncio.wait_for(reading, 5) is None
