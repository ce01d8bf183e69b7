"""The host actors of one engine as processes of this machine: their memory, and killing them."""

import psutil

from bench.engine import HostMemory
from ece.child_processes.leftovers import of_engine
from ece.data_dir import DataDir

# Ray titles a worker's process after its actor.
ACTOR_TITLE = "ray::HostActor"


def host_memory(data_dir: DataDir) -> int | None:
    """Private bytes of all host actors of the engine that runs on this data; None where none is to be seen."""
    return HostProcesses(data_dir).memory().uss or None


class HostProcesses:
    """The host actors of the engine that runs on this data."""

    def __init__(self, data_dir: DataDir) -> None:
        self._data_dir = data_dir

    def memory(self) -> HostMemory:
        """Bytes of all of them together, as far as they can be seen."""
        sizes = []
        for process in self.processes():
            try:
                info = process.memory_full_info()
            except psutil.Error:
                continue
            sizes.append((info.pss, info.uss))
        return HostMemory(len(sizes), sum(pss for pss, _ in sizes), sum(uss for _, uss in sizes))

    def kill(self) -> int:
        """Kill all with SIGKILL; returns how many."""
        processes = self.processes()
        for process in processes:
            process.kill()
        return len(processes)

    def ports(self) -> dict[int, int]:
        """The ports on which they listen, and the process id behind each."""
        found: dict[int, int] = {}
        for process in self.processes():
            try:
                connections = process.net_connections("tcp")
            except psutil.Error:
                continue
            found |= {c.laddr.port: process.pid for c in connections if c.status == psutil.CONN_LISTEN}
        return found

    def processes(self) -> list[psutil.Process]:
        """Those that run now."""
        state = self._data_dir.read_state()
        if state is None:
            return []
        found = []
        for process in of_engine(state.instance, state.children.values()):
            try:
                if " ".join(process.cmdline()).startswith(ACTOR_TITLE):
                    found.append(process)
            except psutil.Error:
                continue
        return found
