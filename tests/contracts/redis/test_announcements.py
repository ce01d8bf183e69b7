"""Announcements over a real Valkey: what is received, what may be lost, and that a loss is noticed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from valkey_server import Valkey
from virtual_time import until

from bench.faults.injection.proxy import Proxy
from persistence.redis.announcements import ANNOUNCEMENT_QUEUE_MAX, CHANNEL_GROUPS, Announcer, Listener, updates_channel


class Received(list[tuple[str, bytes] | None]):
    """What a listener hears, as it comes."""

    @property
    def messages(self) -> list[bytes]:
        return [item[1] for item in self if item is not None]

    @property
    def connections(self) -> int:
        """How often it was said that something may have been missed."""
        return self.count(None)


async def receive(listener: Listener, received: Received) -> None:
    async for item in listener.messages():
        received.append(item)


@contextlib.asynccontextmanager
async def listening(valkey: Valkey, *channels: str) -> AsyncIterator[tuple[Received, Listener]]:
    listener, received = Listener(valkey.url, channels), Received()
    task = asyncio.create_task(receive(listener, received))
    try:
        yield received, listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await listener.close()


@contextlib.asynccontextmanager
async def announcing(valkey: Valkey) -> AsyncIterator[Announcer]:
    announcer = Announcer(valkey.url)
    announcer.start()
    try:
        yield announcer
    finally:
        await announcer.stop()


async def test_what_is_announced_is_heard_in_order(valkey: Valkey):
    async with listening(valkey, "a", "b") as (received, listener), announcing(valkey) as announcer:
        await until(lambda: received == [None])
        assert listener.connected
        assert await listener.ping()
        messages = [("a" if n % 2 else "b", f"\x00{n}".encode()) for n in range(500)]
        for channel, message in messages:
            announcer.publish(channel, message)
        await until(lambda: len(received) == 501)
        assert received == [None, *messages]


async def test_other_channels_are_not_heard(valkey: Valkey):
    async with listening(valkey, "a") as (received, _), announcing(valkey) as announcer:
        await until(lambda: received == [None])
        announcer.publish("b", b"1")
        announcer.publish("a", b"2")
        await until(lambda: len(received) == 2)
        assert received.messages == [b"2"]


async def test_a_listener_whose_connection_is_cut_says_that_it_may_have_missed_something(valkey: Valkey):
    """Not so, if the library connected again by itself: then nobody would ask for what was lost."""
    async with listening(valkey, "a") as (received, _), announcing(valkey) as announcer:
        await until(lambda: received == [None])
        for cut in (2, 3, 4):
            await valkey.do("CLIENT", "KILL", "TYPE", "pubsub")
            await until(lambda cut=cut: received.connections == cut)
        announcer.publish("a", b"after")
        await until(lambda: received.messages == [b"after"])


async def test_a_restarted_server_is_found_again_and_the_gap_is_told(valkey: Valkey):
    async with listening(valkey, "a") as (received, listener), announcing(valkey) as announcer:
        await until(lambda: received == [None])
        valkey.kill()
        await until(lambda: not listener.connected)
        assert not await listener.ping()
        for n in range(20):
            announcer.publish("a", f"{n}".encode())
        await valkey.start()
        await until(lambda: received.connections >= 2)
        assert listener.connected
        announcer.publish("a", b"after")
        await until(lambda: b"after" in received.messages)


async def test_publishing_waits_for_nobody_and_keeps_only_so_much(directory: Path):
    away = Valkey(directory)
    async with announcing(away) as announcer:
        for n in range(ANNOUNCEMENT_QUEUE_MAX * 3):
            announcer.publish("a", f"{n}".encode())
        assert (announcer.waiting, announcer.dropped) == (ANNOUNCEMENT_QUEUE_MAX, 2 * ANNOUNCEMENT_QUEUE_MAX)
        # The oldest go first: the newest says most.
        assert announcer._queue[-1] == ("a", f"{ANNOUNCEMENT_QUEUE_MAX * 3 - 1}".encode())


async def test_a_listener_started_before_the_server_waits_for_it(directory: Path):
    server = Valkey(directory)
    async with listening(server, "a") as (received, listener):
        assert not listener.connected
        await server.start()
        try:
            await until(lambda: received == [None])
        finally:
            server.kill()


async def test_stopping_ends_at_once_also_while_the_server_is_away(directory: Path):
    server = Valkey(directory)
    async with asyncio.timeout(10):
        async with announcing(server) as announcer, listening(server, "a"):
            announcer.publish("a", b"1")
            await asyncio.sleep(0)


def test_the_groups_of_channels_cover_every_slot():
    assert {updates_channel(slot) for slot in range(64)} == {f"ece:updates:{n}" for n in range(CHANNEL_GROUPS)}


async def test_a_pause_of_the_server_in_which_announcements_are_lost_is_told_to_listeners(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    """The listener's connection stands all the while: it can't know by itself that it has missed anything."""
    monkeypatch.setattr("persistence.redis.announcements._SOCKET_TIMEOUT_S", 0.3)
    async with listening(valkey, "a") as (received, _):
        await until(lambda: received == [None])
        async with announcing(valkey) as announcer:
            announcer.publish("a", b"before")
            await until(lambda: received.messages == [b"before"])
            valkey.pause()
            announcer.publish("a", b"in the kernel's hands")
            await until(lambda: not announcer._queue)
            announcer.publish("a", b"lost")
            await until(lambda: announcer.lost)
            connections = received.connections
            valkey.go_on()
            await until(lambda: received.connections > connections)
            await until(lambda: not announcer.lost)


async def test_a_listener_notices_by_itself_that_its_network_is_gone(valkey: Valkey, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("persistence.redis.announcements._QUIET_S", 0.1)
    proxy = Proxy(str(valkey.socket))
    proxy.start()
    listener = Listener(f"redis://127.0.0.1:{proxy.port}", ["a"])
    received = Received()
    task = asyncio.create_task(receive(listener, received))
    try:
        await until(lambda: received == [None])
        proxy.strand()
        await until(lambda: not listener.connected)
        await until(lambda: received == [None, None])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await listener.close()
        proxy.stop()


async def test_a_server_on_which_nothing_happens_is_not_taken_for_one_that_is_gone(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("persistence.redis.announcements._QUIET_S", 0.05)
    async with listening(valkey, "a") as (received, listener):
        await until(lambda: received == [None])
        async with asyncio.timeout(20):
            while await pings(valkey) < 5:  # noqa: ASYNC110 (only the server knows)
                await asyncio.sleep(0.01)
        assert received == [None]
        assert listener.connected


async def pings(valkey: Valkey) -> int:
    """How often this server was asked whether it is there."""
    commands: dict[str, dict[str, int]] = await valkey.do("INFO", "commandstats")  # type: ignore[assignment]
    return commands.get("cmdstat_ping", {}).get("calls", 0)
