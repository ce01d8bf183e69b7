"""Keeps a load process from being late because the engine, or another process, has its processor."""

import os

NICENESS = -5


def pin_load() -> None:
    """Run this process on the last of its processors only, with a higher priority where the user may raise it.

    All load processes share that processor; the engine's processes may use any.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    except PermissionError:
        return
