"""All processes of one engine by group: for what samples their memory and processor time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

from ece.child_processes.leftovers import of_engine
from ece.data_dir import DataDir
from ece.engine.host_memory import ACTOR_TITLE

MINTING_TITLE = "ray::MintingActor"
SPARE_GATEWAY = "spare gateway"
HOSTS, MINTING, RAY, SUPERVISOR, POSTGRES = "hosts", "minting actors", "ray", "supervisor", "postgres"
# The children of the supervisor that are a group of their own, by their names there.
NAMED = ("gateway", "worker", "valkey", POSTGRES, "chain")


def process_groups(data_dir: DataDir) -> Mapping[str, Sequence[int]]:
    """The process ids of each group, as they are now. `ray` is Ray's own processes, and its director and driver."""
    state = data_dir.read_state()
    if state is None:
        return {}
    found: defaultdict[str, list[int]] = defaultdict(list)
    known = _children(state.children)
    for pid, group in known.items():
        found[group].append(pid)
    for process in of_engine(state.instance, state.children.values()):
        if process.pid not in known:
            with suppress(psutil.Error):
                found[_group(process, state.pid)].append(process.pid)
    return found


def _children(children: Mapping[str, int]) -> dict[int, str]:
    """The supervisor's children and their own: those of PostgreSQL write their titles over their environment."""
    found: dict[int, str] = {}
    for name, pid in children.items():
        group = next((known for known in NAMED if name.startswith(known)), None)
        if group is None:
            continue
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            found |= {one.pid: group for one in (process, *process.children(recursive=True))}
    return found


def _group(process: psutil.Process, supervisor: int) -> str:
    title = " ".join(process.cmdline())
    if title.startswith(ACTOR_TITLE):
        return HOSTS
    if title.startswith(MINTING_TITLE):
        return MINTING
    if title.endswith("--spare"):
        return SPARE_GATEWAY
    if process.pid == supervisor or "ece.supervisor" in title or "ece.cli" in title:
        return SUPERVISOR
    return RAY
