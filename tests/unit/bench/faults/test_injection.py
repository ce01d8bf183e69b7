"""Faults of real processes."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bench.faults.injection.clocks import Clocks
from bench.faults.injection.injector import Injected, Injector, Means
from bench.faults.injection.kinds import FULL_DISK, KILL, PAUSE
from bench.faults.injection.proxy import Proxy
from bench.faults.injection.schedule import Fault
from bench.faults.waiting import until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait(10)


class OnePart:
    """An engine of one process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    async def find(self, part: str) -> int | None:
        return self.pid if part == "host" else None

    async def whole(self) -> bool:
        return True

    async def answers(self) -> bool:
        return True


async def no_duplicate() -> Callable[[], Awaitable[None]]:
    raise AssertionError("none of these faults")


@pytest.fixture
def means(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> Means:
    return Means(OnePart(sleeper.pid), {}, Clocks(tmp_path), "", None, no_duplicate)


async def test_a_killed_process_is_gone_and_a_part_that_is_not_there_is_not_hit(
    sleeper: subprocess.Popen[bytes], means: Means
):
    told: list[Injected] = []
    await Injector(means, told.append).run([Fault(0.0, KILL.name, ("host", "chain"))], 0.0)
    assert await asyncio.to_thread(sleeper.wait, 10) == -9
    assert [one.hit for one in told] == [("host",)]


async def test_a_paused_process_runs_again_when_the_run_is_over(sleeper: subprocess.Popen[bytes], means: Means):
    told: list[Injected] = []
    run = asyncio.create_task(Injector(means, told.append).run([Fault(0.0, PAUSE.name, ("host",), 60.0)], 60.0))
    process = psutil.Process(sleeper.pid)
    await until(lambda: process.status() == psutil.STATUS_STOPPED, "it is paused", 10)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    await until(lambda: process.status() != psutil.STATUS_STOPPED, "it runs again", 10)
    assert [one.fault.kind for one in told] == ["pause"]


async def test_a_disk_that_can_not_be_made_full_is_not_hit(means: Means):
    told: list[Injected] = []
    await Injector(means, told.append).run([Fault(0.0, FULL_DISK.name, ("disk",), 1.0)], 0.0)
    assert [one.hit for one in told] == [()]


@pytest.fixture
def teller(tmp_path: Path) -> Iterator[tuple[Clocks, subprocess.Popen[str]]]:
    """A process that answers each line with its wall clock."""
    clocks = Clocks(tmp_path)
    code = "import sys, time\nfor _ in sys.stdin: print(time.time_ns(), time.time(), flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clocks.environment
    )
    yield clocks, process
    process.kill()
    process.communicate(timeout=10)


def ahead_s(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    nanoseconds, seconds = process.stdout.readline().split()
    return [round((int(nanoseconds) / 1e9 - time.time()) / 60), round((float(seconds) - time.time()) / 60)]


def test_the_clock_of_one_process_is_set_and_set_right_again(teller: tuple[Clocks, subprocess.Popen[str]]):
    clocks, process = teller
    assert ahead_s(process) == [0, 0]
    assert clocks.set_ahead(process.pid, 3600.0)
    assert ahead_s(process) == [60, 60]
    assert clocks.set_ahead(process.pid, -3600.0)
    assert ahead_s(process) == [-60, -60]
    assert clocks.set_ahead(process.pid, 0.0)
    assert ahead_s(process) == [0, 0]
    assert not clocks.set_ahead(1, 1.0)


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Proxy, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection through a proxy to a server that sends everything back."""

    async def send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(send_back, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1])
    proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield proxy, reader, writer
    writer.close()
    await asyncio.to_thread(proxy.stop)
    server.close()


async def test_a_delayed_connection_is_late_in_each_direction(
    echo: tuple[Proxy, asyncio.StreamReader, asyncio.StreamWriter],
):
    proxy, reader, writer = echo
    proxy.delay(0.05)
    began_s = time.monotonic()
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    assert time.monotonic() - began_s >= 0.1


async def test_a_limited_connection_delivers_everything_a_little_at_a_time(
    echo: tuple[Proxy, asyncio.StreamReader, asyncio.StreamWriter],
):
    proxy, reader, writer = echo
    proxy.drip(True)
    sent = bytes(range(256)) * 8
    writer.write(sent)
    first = await reader.read(65_536)
    assert 0 < len(first) < len(sent)
    assert first + await reader.readexactly(len(sent) - len(first)) == sent
