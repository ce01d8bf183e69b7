"""Keeps a load process from being late because the engine, or another process, has its processor."""

import os

NICENESS = -5
# Of what sends beside others that read: it has little to do, and must do it in time.
NICENESS_OF_A_SENDER = -10


def pin_load(niceness: int = NICENESS) -> None:
    """Run this process on the last of its processors only, with a higher priority where the user may raise it.

    All load processes share that processor; the engine's processes may use any.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    except PermissionError:
        return
