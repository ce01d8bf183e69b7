"""Runs Locust on a plan, in processes of its own: one, or a master with workers, all on this machine."""

import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.loads.processes import ROOT, STDERR_CHARACTERS_MAX, ProcessFailed, free_port, running
from bench.locust.plan import Plan
from bench.locust.results import KINDS, SUFFIX

LOOPBACK = "127.0.0.1"
LOCUSTFILE = ROOT / "bench" / "locust" / "locustfile.py"
# For the users to arrive, for the processes to start, for the last operations to finish.
SPAWNED_WITHIN_S = 4.0
STARTED_WITHIN_S = 60.0
# Less than Locust's master gives its workers to end.
STOPS_WITHIN_S = 2
GRACE_S = 120.0
_STATISTICS = (*KINDS, "Type", "---", "   ", "Response time")


@dataclass(frozen=True)
class Load:
    """`users` in `workers` processes (1: no master) for `seconds`; `results` gets the stream of results.

    With `web`, Locust's page starts and stops the run, until this process gets SIGINT.
    """

    users: int
    seconds: float
    workers: int
    results: Path
    web: bool = False


async def run_locust(plan: Plan, load: Load, progress: Callable[[str], None]) -> None:
    """Run it to its end. Raises ProcessFailed."""
    with tempfile.TemporaryDirectory(prefix="ece-locust-") as directory:
        plan_file, log = Path(directory) / "plan.json", Path(directory) / "locust.log"
        # It has access tokens.
        plan_file.touch(mode=0o600)
        plan_file.write_bytes(msgspec.json.encode(plan))
        port = free_port()
        async with running(command(plan, load, plan_file, port), log=log) as process:
            if load.web:
                progress(f"Locust's page: http://{LOOPBACK}:{port} (Ctrl-C ends the run, and reports)")
                await _until_interrupted(process)
                return
            try:
                async with asyncio.timeout(load.seconds + GRACE_S):
                    code = await process.wait()
            except TimeoutError:
                raise ProcessFailed(f"Locust did not end within {load.seconds + GRACE_S:g} s: {_end_of(log)}") from None
        if code != 0:
            raise ProcessFailed(f"Locust ended with {code}: {_end_of(log)}")
        if not any(file.stat().st_size for file in load.results.glob(f"*{SUFFIX}")):
            raise ProcessFailed(f"No user has done anything: {_end_of(log)}")


def command(plan: Plan, load: Load, plan_file: Path, web_port: int) -> list[str]:
    """The command line of Locust."""
    words = [
        sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", plan.url, "--profile", plan.profile,
        "--plan", str(plan_file), "--results", str(load.results.resolve()), "--users", str(load.users),
        "--spawn-rate", f"{max(1.0, load.users / SPAWNED_WITHIN_S):g}", "--stop-timeout", str(STOPS_WITHIN_S),
        "--only-summary", "--exit-code-on-error", "0",
    ]  # fmt: skip
    if load.web:
        words += ["--web-host", LOOPBACK, "--web-port", str(web_port)]
    else:
        words += ["--headless", "--run-time", f"{load.seconds:g}s"]
    if load.workers > 1:
        master = str(free_port())
        words += [
            "--processes", str(load.workers), "--expect-workers-max-wait", f"{STARTED_WITHIN_S:g}",
            "--master-bind-host", LOOPBACK, "--master-bind-port", master, "--master-host", LOOPBACK,
            "--master-port", master,
        ]  # fmt: skip
    return words


async def _until_interrupted(process: asyncio.subprocess.Process) -> None:
    """Until Ctrl-C, or until Locust ends by itself."""
    async with _interrupts() as interrupted:
        ended = asyncio.create_task(process.wait())
        pressed = asyncio.create_task(interrupted.wait())
        await asyncio.wait({ended, pressed}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        pressed.cancel()


@contextlib.asynccontextmanager
async def _interrupts() -> AsyncIterator[asyncio.Event]:
    """An event instead of KeyboardInterrupt."""
    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        yield interrupted
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _end_of(log: Path) -> str:
    """The last messages; the statistics, which Locust prints after them, left out."""
    messages = [line for line in log.read_text(errors="replace").splitlines() if not line.startswith(_STATISTICS)]
    return "\n".join(messages).strip()[-STDERR_CHARACTERS_MAX:]
