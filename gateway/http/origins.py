"""Which pages may act for a user by cookies: those of the gateway itself, and of the origins that a setting names."""

from collections.abc import Collection

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def is_own_origin(origin: str, host: str, allowed: Collection[str], *, secure: bool) -> bool:
    """Whether a page of this origin is one of ours. ``host``: the header Host, in lower case. No Origin: it is not."""
    if not origin or origin == "null":
        return False
    own = f"{'https' if secure else 'http'}://{host}"
    return origin.lower() == own or origin in allowed


def is_loopback(host: str) -> bool:
    """Whether a header Host, in lower case, names this machine."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name in LOOPBACK_HOSTS
