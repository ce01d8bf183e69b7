"""Finds and ends processes that have outlived their supervisor."""

import os
from collections.abc import Collection, Sequence
from contextlib import suppress

import psutil

# Every child has this variable, and so have its own children: they are found by it.
INSTANCE_VARIABLE = "ECE_INSTANCE"


def of_engine(instance: str, sessions: Collection[int]) -> list[psutil.Process]:
    """All processes, other than this one, which belong to this engine.

    `sessions` are the process ids of its children, each of which leads a session of its own.
    """
    return [process for process in psutil.process_iter() if _belongs(process, instance, sessions)]


def _belongs(process: psutil.Process, instance: str, sessions: Collection[int]) -> bool:
    with suppress(psutil.Error, OSError):
        if process.pid == os.getpid():
            return False
        if process.environ().get(INSTANCE_VARIABLE) == instance:
            return True
        # Ray's agents write their title over their environment: they are known by their session.
        return os.getsid(process.pid) in sessions and "".join(process.cmdline()).startswith("ray::")
    return False


def is_postgres(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.name().startswith("postgres"))
    return False


def kill_all(processes: Sequence[psutil.Process], within_s: float = 3.0) -> None:
    """Kill them and wait until they are gone."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=within_s)
