"""How many client connections a gateway may have: what the settings say, and what open files allow."""

import resource

import structlog

from ece.settings import Settings
from gateway.http.address_limit import AddressLimit
from gateway.http.connections import ConnectionLimits, Connections

# By default there may be so many connections that are no WebSockets.
CONNECTIONS_BESIDE_SOCKETS = 4_096
# Files that are no client connections: streams to hosts, Redis, logs, pictures, libraries. Database connections come
# on top.
FILES_RESERVED = 512
# Where the system says that there is no limit: Linux allows no process more by default.
FILES_MAX = 1_048_576

log = structlog.get_logger()


def raise_file_limit() -> int:
    """Let this process open as many files as the system allows it, and say how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files_max = FILES_MAX if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, hard))
    return files_max


def open_connections(settings: Settings, files_max: int) -> Connections:
    """The client connections, of which there may be as many as settings and open files allow."""
    wanted = settings.connections_max or settings.sockets_max + CONNECTIONS_BESIDE_SOCKETS
    allowed = max(1, files_max - FILES_RESERVED - settings.database_pool_max)
    limits = ConnectionLimits(
        connections_max=min(wanted, allowed),
        head_bytes_max=settings.request_head_bytes_max,
        unfinished_bytes_max=settings.unfinished_bytes_max,
        request_timeout_s=settings.request_timeout_s,
        response_timeout_s=settings.response_timeout_s,
    )
    say = log.warning if allowed < wanted else log.info
    say("connection_limit", connections_max=limits.connections_max, wanted=wanted, files_max=files_max)
    return Connections(limits, AddressLimit(settings.connections_per_address_max, settings.proxies))


def sockets_limit(settings: Settings, connections: Connections) -> int:
    """How many of the connections may be sockets: REST and health checks need some, too."""
    connections_max = connections.limits.connections_max
    return min(settings.sockets_max, connections_max - connections_max // 8)
