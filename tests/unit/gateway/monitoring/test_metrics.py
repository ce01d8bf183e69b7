"""What Prometheus gets of sockets, fan-out and what waits, after each of these did something."""

import asyncio
from collections.abc import Callable

from auction_requests import answered, refused
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from virtual_time import turns, virtual

from domain.ids import id_text
from domain.permissions import DEFAULT_ROLES
from gateway.http.address_limit import AddressLimit
from gateway.identity.passwords.hasher import PasswordHasher
from gateway.monitoring.exposition import HubMetrics, SocketMetrics, WaitingMetrics
from gateway.websocket.connection import SessionLimits
from gateway.websocket.operations.table import MSGPACK, OPERATIONS
from gateway.websocket.session import Session
from gateway.websocket.sockets import Sockets
from persistence.postgres.pool import PoolUse
from tests.unit.gateway.websocket.sessions import (
    AUCTION,
    CHANNEL,
    NOW_S,
    TOKENS,
    Connection,
    Gateway,
    gateway,
    logged,
    update,
)

BID = {"auction": id_text(AUCTION), "amount": 5, "key": "k"}


def reader(collector: Collector) -> Callable[..., float]:
    """Reads one sample as Prometheus would; 0 where there is none of these labels."""
    registry = CollectorRegistry()
    registry.register(collector)
    return lambda name, **labels: registry.get_sample_value(name, labels) or 0.0


def sockets_of(g: Gateway, sockets_max: int = 10) -> Sockets:
    return Sockets(
        OPERATIONS, g.routes, g.hub, TOKENS, SessionLimits(), g.admission, g.traffic, sockets_max, AddressLimit(1),
        g.clock.now_ms,
    )  # fmt: skip


def opened(sockets: Sockets) -> tuple[Session, Connection]:
    connection = Connection(MSGPACK)
    session = sockets.open(connection, MSGPACK)
    session.received(MSGPACK.encode({"op": "hello", "id": 0, "token": TOKENS.issue(2, "ann", DEFAULT_ROLES, NOW_S)}))
    return session, connection


def say(session: Session, op: str, **fields: object) -> None:
    session.received(MSGPACK.encode({"op": op, "id": 1} | fields))


@virtual
async def test_open_sockets_subscriptions_and_what_waits_for_them():
    async with gateway() as g:
        g.stands()
        sockets = sockets_of(g, sockets_max=2)
        read = reader(SocketMetrics(sockets))
        (slow, connection), (gone, _) = opened(sockets), opened(sockets)
        say(slow, "subscribe", channel=CHANNEL)
        say(gone, "subscribe", channel=CHANNEL)
        assert sockets.acquire("192.0.2.1") == "overloaded"
        await turns(8)
        connection.unsent = 20_000
        g.listener.announce(update(3, 3))
        await asyncio.sleep(0.1)
        assert [read(f"ece_{name}") for name in (
            "sockets_open", "socket_subscriptions", "socket_subscriptions_behind", "socket_unsent_bytes",
            "sockets_rejected_total",
        )] == [2, 2, 1, 20_000, 1]  # fmt: skip
        sockets.closed(gone)
        assert (read("ece_sockets_open"), read("ece_socket_subscriptions")) == (1, 1)


@virtual
async def test_commands_are_counted_by_what_they_were_and_what_became_of_them():
    async with gateway(in_flight_max=4) as g:
        sockets = sockets_of(g)
        read = reader(SocketMetrics(sockets))
        session, _ = opened(sockets)
        for _ in range(3):
            say(session, "bid", **BID)
        assert read("ece_socket_commands_in_flight") == 2
        g.routes.sent[0][1](answered(1, 7, 100, "leading", 5, 6, 200))
        g.routes.sent[1][1](refused("bid_too_low", 9, 5, 6))
        say(session, "ping")
        say(session, "jump")
        counted = {
            (op, outcome): read("ece_socket_commands_total", op=op, outcome=outcome)
            for op in ("hello", "bid", "ping", "invalid")
            for outcome in ("ok", "bid_too_low", "overloaded", "invalid_frame")
        }
        assert {key: count for key, count in counted.items() if count} == {
            ("hello", "ok"): 1, ("bid", "ok"): 1, ("bid", "bid_too_low"): 1, ("bid", "overloaded"): 1,
            ("ping", "ok"): 1, ("invalid", "invalid_frame"): 1,
        }  # fmt: skip
        assert read("ece_socket_commands_in_flight") == 0
        # What was refused before it went to a host is no answer of the engine's.
        assert (read("ece_socket_ack_seconds_count"), read("ece_socket_ack_seconds_bucket", le="+Inf")) == (2, 2)
        assert 0 < read("ece_socket_ack_seconds_sum") < 1
        assert (read("ece_socket_received_frames_total"), read("ece_socket_sent_frames_total")) == (6, 6)
        assert read("ece_socket_received_bytes_total") > 6 * 10
        assert read("ece_socket_sent_bytes_total") > 6 * 10


@virtual
async def test_ends_are_counted_by_the_code_that_the_server_gave():
    async with gateway() as g:
        sockets = sockets_of(g)
        read = reader(SocketMetrics(sockets))
        (broken, _), (left, _) = opened(sockets), opened(sockets)
        broken.received(b"\xc1")
        for session in (broken, left):
            sockets.closed(session)
        assert [read("ece_socket_closes_total", code=code) for code in ("4500", "client", "4001")] == [1, 1, 0]


@virtual
async def test_fan_out_says_what_it_follows_and_what_it_could_not_follow():
    async with gateway() as g:
        g.stands(seq=5)
        g.history.events[AUCTION] = [logged(seq) for seq in (4, 5)]
        read = reader(HubMetrics(g.hub))
        client = g.client()
        await client.hello()
        await client.ask("subscribe", channel=CHANNEL)
        await client.ask("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 3})
        g.listener.announce(update(6, 6))
        await asyncio.sleep(0.1)
        await client.ask("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 5})
        g.listener.announce(update(9, 9))
        await asyncio.sleep(0.1)
        assert [read("ece_hub_subscribes_total", by=by) for by in ("state", "log", "memory")] == [1, 1, 1]
        assert (read("ece_hub_channels"), read("ece_hub_gaps_total")) == (1, 1)
        assert read("ece_hub_log_reads_in_flight") == 0
        g.history.hold = asyncio.Event()
        client.send("subscribe", channel=CHANNEL, since={"epoch": 1, "seq": 3})
        await turns(8)
        assert read("ece_hub_log_reads_in_flight") == 1
        g.history.hold.set()


async def test_passwords_and_connections_that_are_in_use():
    hasher = PasswordHasher(4, at_once_max=1, waiting_max=0)
    read = reader(WaitingMetrics(hasher, lambda: PoolUse(size=3, idle=1, size_max=10)))
    first = asyncio.create_task(hasher.hash("a password", "ann"))
    await asyncio.sleep(0)
    assert read("ece_passwords_in_flight") == 1
    second = await asyncio.gather(hasher.hash("another", "ann"), return_exceptions=True)
    assert [type(fault).__name__ for fault in second] == ["PasswordsBusy"]
    await first
    hasher.close()
    assert (read("ece_passwords_in_flight"), read("ece_passwords_refused_total")) == (0, 1)
    assert [read("ece_database_connections", state=state) for state in ("busy", "idle")] == [2, 1]
    assert read("ece_database_connections_limit") == 10
