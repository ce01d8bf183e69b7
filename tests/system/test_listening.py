"""What of a running engine can be reached from where: every socket that its processes listen on, every directory."""

import os
import socket
import stat
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import psutil
from engines import SharedEngine

from ece.child_processes.leftovers import of_engine

EVERYBODY = stat.S_IWOTH


def processes(engine: SharedEngine) -> dict[int, str]:
    """Every process of the engine by its id, and what it calls itself."""
    state = engine.data_dir.read_state()
    assert state is not None
    below = psutil.Process(state.pid).children(recursive=True)
    found = [psutil.Process(state.pid), *below, *of_engine(state.instance, state.children.values())]
    return {process.pid: " ".join(process.cmdline())[:300] or process.name() for process in found}


def test_all_processes_listen_on_the_loopback_address_only(engine: SharedEngine):
    names = processes(engine)
    listening = [
        (names[socket_.pid], ip_address(socket_.laddr.ip))
        for socket_ in psutil.net_connections("inet")
        if socket_.pid in names and (socket_.status == psutil.CONN_LISTEN or socket_.type == socket.SOCK_DGRAM)
    ]
    # Gateway, Ray driver, GCS, raylet, director and hosts: the look itself works.
    parts = ("ece.processes.gateway", "ece.processes.ray_driver", "gcs_server", "raylet", "DirectorActor", "HostActor")
    assert [part for part in parts if not any(part in name for name, _ in listening)] == []
    assert [(name, str(address)) for name, address in listening if not _loopback(address)] == []


def _loopback(address: object) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback  # type: ignore[union-attr]


def test_other_users_can_change_nothing_below_the_directories_of_an_engine(engine: SharedEngine):
    """A directory that everybody may write to is safe below one that nobody else passes through."""
    state = engine.data_dir.read_state()
    assert state is not None
    roots = [engine.data_dir.path, Path(state.runtime_dir)]
    assert (roots[1] / "ray").is_dir()
    assert [str(path) for root in roots for path in _open_to_all(root)] == []


def _open_to_all(folder: Path) -> list[Path]:
    mode = folder.stat().st_mode
    if not mode & stat.S_IXOTH:
        return []
    found = [folder] if mode & EVERYBODY else []
    for entry in os.scandir(folder):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            found += _open_to_all(path)
        elif not entry.is_symlink() and path.lstat().st_mode & EVERYBODY:
            found.append(path)
    return found
