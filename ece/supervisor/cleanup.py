"""The cleanup process: it outlives a supervisor that was killed, ends its processes and removes its sockets.

It waits at the other end of a pipe. "done" means that the supervisor has stopped everything itself; the end
of the pipe without it means that the supervisor is dead.
Usage: python -m ece.supervisor.cleanup INSTANCE RUNTIME_DIR RUN_FILE
"""

import json
import shutil
import sys
import time
from collections.abc import Collection
from pathlib import Path

import psutil

from ece.child_processes.leftovers import is_postgres, kill_all, of_engine

POSTGRES_STOPS_WITHIN_S = 10.0


def main(instance: str, runtime_dir: str, run_file: str) -> None:
    if sys.stdin.read().strip() == "done":
        return
    sessions = _children(Path(run_file))
    kill_all([process for process in of_engine(instance, sessions) if not is_postgres(process)])
    # The death signal has made PostgreSQL start a fast shutdown, which takes a moment.
    databases = [process for process in of_engine(instance, sessions) if is_postgres(process)]
    _gone, alive = psutil.wait_procs(databases, timeout=POSTGRES_STOPS_WITHIN_S)
    kill_all(alive)
    # Something may have been started while we looked.
    deadline = time.monotonic() + POSTGRES_STOPS_WITHIN_S
    while (late := of_engine(instance, sessions)) and time.monotonic() < deadline:
        kill_all(late)
    shutil.rmtree(runtime_dir, ignore_errors=True)


def _children(run_file: Path) -> Collection[int]:
    """The children of the supervisor, as its run file has them. Read without ece.data_dir, to stay small."""
    try:
        return set(json.loads(run_file.read_text())["children"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return set()


if __name__ == "__main__":
    main(*sys.argv[1:4])
