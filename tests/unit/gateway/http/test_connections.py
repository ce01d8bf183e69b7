"""Who may have a connection, who gives way, and what is said of it."""

import asyncio
import errno
import os

import pytest
import structlog
from virtual_time import until, virtual

from gateway.http.address_limit import AddressLimit, plain_address
from gateway.http.connections import REPORT_EVERY_S, ConnectionLimits, Connections


class Client:
    """A connection that notes its end."""

    def __init__(self, name: str, ends: list[tuple[str, str]]) -> None:
        self._name = name
        self._ends = ends

    def expire(self) -> None:
        self._ends.append((self._name, "expired"))

    def end(self, reason: str) -> None:
        self._ends.append((self._name, reason))


@virtual
async def test_those_that_wait_longest_give_way_and_those_that_are_served_stay():
    ends: list[tuple[str, str]] = []
    connections = Connections(ConnectionLimits(connections_max=3))
    first, second, third = (Client(name, ends) for name in ("first", "second", "third"))
    for client in (first, second, third):
        assert connections.admit(client, "192.0.2.1") is None
    connections.serve(first)
    # It had its response: now it has waited for the shortest time.
    connections.serve(second)
    connections.wait(second)
    assert connections.admit(Client("fourth", ends), "192.0.2.1") is None
    assert connections.admit(Client("fifth", ends), "192.0.2.1") is None
    assert ends == [("third", "displaced"), ("second", "displaced")]
    for client in (second, third):
        connections.leave(client, "192.0.2.1")
    assert (connections.open, connections.waiting, connections.dropped) == (3, 2, {"displaced": 2})


@virtual
async def test_deadlines_count_from_when_a_request_was_last_waited_for():
    ends: list[tuple[str, str]] = []
    connections = Connections(ConnectionLimits(request_timeout_s=10))
    early, late, served = (Client(name, ends) for name in ("early", "late", "served"))
    connections.start()
    for client in (early, late, served):
        connections.admit(client, None)
    connections.serve(served)
    await asyncio.sleep(9)
    connections.wait(late)
    await asyncio.sleep(2)
    assert ends == [("early", "expired")]
    await asyncio.sleep(8.5)
    assert ends == [("early", "expired"), ("late", "expired")]
    await connections.stop()


@virtual
async def test_what_is_dropped_is_one_line_of_the_log_now_and_then():
    connections = Connections(ConnectionLimits(connections_max=1), AddressLimit(2))
    with structlog.testing.capture_logs() as logs:
        connections._report(0)
        for _ in range(3):
            connections.admit(Client("silent", []), "192.0.2.1")
        connections._report(1)
        connections.dropped["late"] += 5
        connections._report(1 + REPORT_EVERY_S / 2)
        connections._report(1 + REPORT_EVERY_S)
    expected = {"event": "connections_dropped", "log_level": "warning", "connections_max": 1, "open": 2}
    assert logs == [expected | {"displaced": 1, "address": 1}, expected | {"late": 5}]


async def test_files_that_run_out_are_said_once_and_so_is_the_end_of_it(monkeypatch: pytest.MonkeyPatch):
    connections = Connections()
    opened, short = os.open, True

    def open_unless_short(*arguments: object) -> int:
        if short:
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", open_unless_short)
    with structlog.testing.capture_logs() as logs:
        connections.start()
        await until(lambda: logs)
        short = False
        await until(lambda: len(logs) == 2)
        await connections.stop()
    assert [line["event"] for line in logs] == ["file_descriptors_exhausted", "file_descriptors_available_again"]


def test_an_address_may_have_so_many_and_gets_back_what_it_released():
    limit = AddressLimit(2, ["192.0.2.0/24", "::1"])
    assert [limit.acquire("198.51.100.1") for _ in range(3)] == [True, True, False]
    assert limit.acquire("198.51.100.2")
    limit.release("198.51.100.1")
    assert [limit.acquire("198.51.100.1") for _ in range(2)] == [True, False]
    for _ in range(2):
        limit.release("198.51.100.1")
    limit.release("198.51.100.2")
    assert limit._held == {}


@pytest.mark.parametrize("address", ["192.0.2.77", "::1", None, ""])
def test_trusted_proxies_and_clients_without_an_address_have_no_limit(address: str | None):
    limit = AddressLimit(1, ["192.0.2.0/24", "::1"])
    assert [limit.acquire(address) for _ in range(5)] == [True] * 5
    limit.release(address)
    assert limit._held == {}


def test_one_ipv6_network_counts_as_one_address():
    limit = AddressLimit(1)
    assert limit.acquire("2001:db8::1")
    assert not limit.acquire("2001:db8::2")
    assert limit.acquire("2001:db8:0:1::2")


def test_ipv4_clients_of_a_socket_for_both_count_one_by_one():
    assert [plain_address(a) for a in ("::ffff:192.0.2.1", "192.0.2.1", "2001:db8::1", "::ffff:1")] == [
        "192.0.2.1", "192.0.2.1", "2001:db8::1", "::ffff:1",
    ]  # fmt: skip
