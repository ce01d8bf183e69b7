"""What users may not do until they have verified their address, where that is demanded.

Denied by default: they read, and change nothing but their account. The role is in the access token; it goes with the
next one after the verification.
"""

from collections.abc import Collection

UNVERIFIED = "unverified"
READING = ("GET", "HEAD", "OPTIONS")
# Paths below which unverified users may change something.
_OPEN_PATHS = ("/api/v1/auth/", "/api/v1/users/me/", "/api/v1/notifications/")
# What of theirs they may end: a device that was lost, a key that leaked.
_ENDED_PATHS = ("/api/v1/sessions", "/api/v1/api-keys/")
# Parts of these that are no settings of an account.
_CLOSED_PARTS = ("/copies",)
# Operations of the WebSocket that change nothing.
_OPEN_OPERATIONS = frozenset({"hello", "ping", "subscribe", "unsubscribe"})


def request_denied(roles: Collection[str], method: str, path: str) -> bool:
    """Whether these roles may not send this request."""
    if UNVERIFIED not in roles or method in READING:
        return False
    if method == "DELETE" and path.startswith(_ENDED_PATHS):
        return False
    return not path.startswith(_OPEN_PATHS) or any(part in path for part in _CLOSED_PARTS)


def operation_denied(roles: Collection[str], operation: str) -> bool:
    """Whether these roles may not send this frame."""
    return UNVERIFIED in roles and operation not in _OPEN_OPERATIONS
