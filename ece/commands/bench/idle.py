"""Waiting for an idle machine before something is measured."""

import asyncio
import time

import psutil

IDLE_PERCENT = 20.0
IDLE_SAMPLES = 3
SAMPLE_S = 0.5
IDLE_WITHIN_S = 20.0


async def until_idle() -> None:
    """Return once the processors are idle, or after IDLE_WITHIN_S: Ray's agents start for seconds after an engine."""
    deadline = time.monotonic() + IDLE_WITHIN_S
    psutil.cpu_percent()
    idle = 0
    while idle < IDLE_SAMPLES and time.monotonic() < deadline:
        await asyncio.sleep(SAMPLE_S)
        idle = idle + 1 if psutil.cpu_percent() < IDLE_PERCENT else 0
