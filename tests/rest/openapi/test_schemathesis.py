"""schemathesis over the whole OpenAPI document: no 5xx, and no answer that is not described."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from gateway.rest.limits import Limits
from tests.rest.rest_engine import RestEngine, rest_engine

# Data that fits a schema may still be refused: cursors are opaque, and some fields exclude each other.
NOT_CHECKED = "positive_data_acceptance"
FUZZING_S = 20


@asynccontextmanager
async def served(engine: RestEngine) -> AsyncIterator[str]:
    config = uvicorn.Config(engine.app, http="httptools", log_config=None, lifespan="off", ws="none")
    server, listener = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown(sockets=[listener])
        listener.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("phases", ["examples,coverage", "fuzzing,stateful"])
async def test_it_finds_no_5xx_and_nothing_undocumented(database_url: str, tmp_path: Path, phases: str):
    often = 1_000_000
    limits = Limits(attempts_per_minute=often, attempts_burst=often, logins_per_minute=often, logins_burst=often)
    async with rest_engine(database_url, limits) as engine, served(engine) as url:
        someone = await engine.person(role="admin")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--phases", phases,
            "--header", f"Authorization: Bearer {someone.token}", "--exclude-checks", NOT_CHECKED,
            "--max-examples", "5", "--max-time", str(FUZZING_S), "--generation-deterministic", "--no-color",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path,
        )  # fmt: skip
        out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
