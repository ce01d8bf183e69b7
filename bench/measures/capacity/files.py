"""How many sockets the limits of the system allow."""

import resource

# Files that gateway and load need besides their sockets.
FILES_SPARE = 1_000


def sockets_most(wanted: int) -> int:
    """So many sockets, or as many as a process may have open (`ulimit -n`): the gateway has all in one."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if files == resource.RLIM_INFINITY else max(1, min(wanted, files * 7 // 8 - FILES_SPARE))
