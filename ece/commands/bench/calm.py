"""Waiting for a calm machine before something is measured."""

import asyncio
import time

import psutil

CALM_PERCENT = 20.0
CALM_SAMPLES = 3
CALM_SAMPLE_S = 0.5
CALM_WITHIN_S = 20.0


async def started_up() -> None:
    """Return once the processors rest: Ray's agents go on starting for some seconds after the engine is ready."""
    deadline = time.monotonic() + CALM_WITHIN_S
    psutil.cpu_percent()
    calm = 0
    while calm < CALM_SAMPLES and time.monotonic() < deadline:
        await asyncio.sleep(CALM_SAMPLE_S)
        calm = calm + 1 if psutil.cpu_percent() < CALM_PERCENT else 0
