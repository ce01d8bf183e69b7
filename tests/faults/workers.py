"""Workers as processes of their own, beside hosts without Ray (tests/faults/hosts.py)."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from tests.faults.hosts import SECRET, SLOTS


@asynccontextmanager
async def worker_child(
    database_url: str, redis_url: str, *, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker; killed at the end."""
    with tempfile.TemporaryDirectory(prefix="ece-worker-") as home:
        settings = {
            "ECE_DATABASE_URL": database_url, "ECE_REDIS_URL": redis_url, "ECE_CLUSTER_SECRET": SECRET,
            "ECE_JWT_SECRET": SECRET, "ECE_MAIL_SECRET": SECRET,
            "ECE_SLOTS": str(SLOTS), "ECE_DATA_DIR": home, "ECE_LOG_LEVEL": "error",
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ece.processes.worker", stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, **settings, **(environment or {})},
        )  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
