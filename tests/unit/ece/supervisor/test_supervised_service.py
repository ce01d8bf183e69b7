"""Supervised services, with real but tiny programs."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from ece.child_processes.child import Child, Command
from ece.failure import Failure
from ece.supervisor import supervised_service
from ece.supervisor.backoff import Backoff
from ece.supervisor.disk_space import DiskSpace
from ece.supervisor.services import message_in
from ece.supervisor.supervised_service import ServiceSpec, SupervisedService, how_it_ended
from ece.supervisor.terminal import Terminal

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"


class Supervised:
    """A small Python program under supervision, and what is said of it."""

    def __init__(self, tmp_path: Path, *arguments: str, reserve_bytes: int = 0, spare: str | None = None) -> None:
        self.said = io.StringIO()
        self.log = tmp_path / "p.log"
        spec = ServiceSpec("p", "Program", self._command, self._serves, self.log, 20.0, 5.0)
        if spare is not None:
            waits = Command([sys.executable, "-c", spare], os.environ, self.log, keep_input_open=True)
            spec = replace(spec, spare=lambda: waits)
        self._arguments = arguments
        space = DiskSpace([tmp_path], reserve_bytes)
        self.service = SupervisedService(spec, Terminal(Console(file=self.said, width=200)), lambda: None, space)

    async def _command(self) -> Command:
        return Command(self._arguments, os.environ, self.log)

    async def _serves(self, _child: Child) -> bool:
        return "up" in self.log.read_text()


async def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  files and processes set no event
            await asyncio.sleep(0.01)


async def test_a_dead_process_is_started_again_and_a_message_says_so(tmp_path):
    program = Supervised(tmp_path, sys.executable, "-c", SLEEPER)
    running = asyncio.create_task(program.service.run())
    await asyncio.wait_for(program.service.ready.wait(), 20)
    first = program.service.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: "Program serves again" in program.said.getvalue())
    assert "Program was killed by SIGKILL; starting it again in 0.1 s" in program.said.getvalue()
    assert program.service.pid not in (None, first)
    running.cancel()
    await program.service.stop()
    assert program.service.pid is None


async def test_a_spare_process_takes_the_place_of_a_dead_one_and_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(supervised_service, "SPARE_EVERY_S", 0.01)
    spare = f"import sys; assert sys.stdin.readline() == 'serve\\n'; {SLEEPER}"
    program = Supervised(tmp_path, sys.executable, "-c", SLEEPER, spare=spare)
    service = program.service
    running = [asyncio.create_task(service.run()), asyncio.create_task(service.keep_spare())]
    first, waiting = await with_spare(service)
    os.kill(first, signal.SIGKILL)
    await until(lambda: "Program serves again" in program.said.getvalue())
    assert service.pid == waiting
    # One that has died itself is of no use.
    _, waiting = await with_spare(service)
    os.kill(waiting, signal.SIGKILL)
    await until(lambda: waiting not in service.pids)
    await with_spare(service)
    for task in running:
        task.cancel()
    await service.stop()
    assert service.pids == set()


async def with_spare(service: SupervisedService) -> tuple[int, int]:
    """Once there are both: the process, and the spare one."""
    await until(lambda: len(service.pids) == 2)
    assert service.pid is not None
    [spare] = service.pids - {service.pid}
    return service.pid, spare


async def test_what_never_serves_is_given_up_with_its_last_words(tmp_path):
    program = Supervised(tmp_path, sys.executable, "-c", "raise SystemExit('no such table')")
    with pytest.raises(Failure, match=r"ended with exit code 1, 3 times in a row. Giving up(.|\n)*no such table"):
        await asyncio.wait_for(program.service.run(), 20)


async def test_what_dies_while_the_disk_is_full_is_started_again_without_end_and_said_once(tmp_path, monkeypatch):
    monkeypatch.setattr(supervised_service, "Backoff", lambda: Backoff(longest_s=0.01, deaths_max=2))
    starts = tmp_path / "starts"
    fills = f"open({str(starts)!r}, 'a').write('.'); raise SystemExit('No space left on device')"
    program = Supervised(tmp_path, sys.executable, "-c", fills, reserve_bytes=2**62)
    running = asyncio.create_task(program.service.run())
    await until(lambda: starts.exists() and len(starts.read_text()) > 5)
    running.cancel()
    await asyncio.wait({running})
    await program.service.stop()
    said = program.said.getvalue()
    assert said.count("Program ended with exit code 1, and the disk is full: starting it again every 0.01 s") == 1
    assert said.count("No space left on device") == 1


async def test_a_program_that_is_not_there_is_given_up(tmp_path):
    program = Supervised(tmp_path, str(tmp_path / "missing"))
    with pytest.raises(Failure, match="could not be started"):
        await asyncio.wait_for(program.service.run(), 20)


async def test_a_process_that_does_not_listen_is_killed_in_the_end(tmp_path):
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
    child = await Child.start(Command([sys.executable, "-c", stubborn], os.environ, tmp_path / "p.log"))
    await until(lambda: "up" in (tmp_path / "p.log").read_text())
    assert not await child.stop(0.1)
    assert not child.alive


async def test_grandchildren_go_with_their_session(tmp_path):
    program = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    lines: list[str] = []
    command = Command([sys.executable, "-c", program], os.environ, tmp_path / "p.log", on_line=lines.append)
    child = await Child.start(command)
    await until(lambda: bool(lines))
    await child.stop(5.0)
    await until(lambda: not psutil.pid_exists(int(lines[0])) or psutil.Process(int(lines[0])).status() == "zombie")


def test_exit_codes_are_told_in_words():
    assert [how_it_ended(code) for code in (1, -9, -64)] == [
        "ended with exit code 1",
        "was killed by SIGKILL",
        "was killed by SIGRTMAX",
    ]


@pytest.mark.parametrize(
    ("line", "ready"), [('{"ready": true}', True), ('{"ready": 1}', False), ("ready", False), ("[1]", False)]
)
def test_only_the_agreed_line_means_ready(line, ready):
    assert (message_in(line).get("ready") is True) is ready
