"""Whether the gateway's port is free, and which process holds it if not."""

import errno
import random
import socket
from contextlib import closing, suppress

import psutil

from ece.failure import Failure
from ece.settings import Settings

# Below those that Linux gives to outgoing connections (net.ipv4.ip_local_port_range).
FREE_PORTS = range(15_000, 32_000)
FREE_PORT_TRIES = 20


def check_port(settings: Settings) -> None:
    """Raises Failure, saying who holds the port and what to set, when the gateway couldn't listen."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Failure(_what_is_wrong(settings, error)) from error


def free_port(host: str) -> int:
    """A port that nobody listens on at this moment, outside the range of outgoing connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (*random.sample(FREE_PORTS, FREE_PORT_TRIES), 0):
        with closing(socket.socket(family)) as probe, suppress(OSError):
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    raise OSError(errno.EADDRINUSE, f"no free port on {host}")


def _what_is_wrong(settings: Settings, error: OSError) -> str:
    place = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {settings.port} on {settings.host} is taken{_holder(settings.port)}. "
            f"Stop that process, or choose another port: ECE_PORT={min(settings.port + 1, 65535)} scripts/up"
        )
    if error.errno == errno.EACCES:
        return f"The gateway may not listen on {place}: {error.strerror}. Set ECE_PORT to 1024 or above."
    return f"The gateway can't listen on {place}: {error.strerror or error}. Check ECE_HOST and ECE_PORT."


def _holder(port: int) -> str:
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""
