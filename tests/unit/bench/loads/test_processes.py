"""Servers that a bench starts end with it, also when it is killed."""

import subprocess
import sys
import time
from contextlib import suppress

import psutil

BENCH = """
import asyncio, sys
from bench.loads.processes import running

async def main():
    async with running([sys.executable, "-c", "import time; time.sleep(600)"]) as server:
        print(server.pid, flush=True)
        await server.wait()

asyncio.run(main())
"""


def test_a_server_ends_when_the_bench_is_killed():
    with subprocess.Popen([sys.executable, "-c", BENCH], stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None
        server = psutil.Process(int(bench.stdout.readline()))
        bench.kill()
    deadline_s = time.monotonic() + 30
    with suppress(psutil.NoSuchProcess):
        while server.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline_s, "the server outlives its bench"
            time.sleep(0.02)
