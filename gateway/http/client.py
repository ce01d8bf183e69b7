"""The client of a request, for what lies too deep for the request itself: its address, its device, its cookies."""

from contextvars import ContextVar
from typing import Any

from gateway.http.cookies import cookies_of, header_of
from gateway.http.origins import is_loopback
from gateway.identity.sessions.devices import UNKNOWN, device_of

# The header by which a client asks for a session by cookies. Other sites' pages can't send it without a preflight.
SESSION_HEADER = "X-Session"
COOKIE_SESSION = b"cookie"


class Client:
    """Who sent a request (or opened a socket). ``set_cookies``: what the answer sets."""

    def __init__(self, scope: Any) -> None:
        self._scope = scope
        self.set_cookies: list[str] = []

    @property
    def address(self) -> str:
        """The address, as proxies that are trusted say it; empty if it is not known."""
        client = self._scope.get("client")
        return client[0] if client else ""

    @property
    def device(self) -> str:
        """A short text about browser and system."""
        return device_of(header_of(self._scope, b"user-agent"))

    @property
    def secure(self) -> bool:
        """Whether the client, or the trusted proxy before us, has it encrypted."""
        return self._scope.get("scheme") in ("https", "wss")

    @property
    def may_have_cookies(self) -> bool:
        """Without TLS on this machine alone."""
        return self.secure or is_loopback(self.host)

    @property
    def host(self) -> str:
        """The header Host."""
        return header_of(self._scope, b"host").lower()

    @property
    def origin(self) -> str:
        """The header Origin; empty without one."""
        return header_of(self._scope, b"origin")

    @property
    def wants_cookies(self) -> bool:
        """Whether it asks for a session by cookies."""
        return header_of(self._scope, SESSION_HEADER.lower().encode()).encode() == COOKIE_SESSION

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it sent."""
        return cookies_of(self._scope)


class _Nobody(Client):
    """Work without a request."""

    def __init__(self) -> None:
        super().__init__({"type": "none", "headers": []})

    @property
    def device(self) -> str:
        return UNKNOWN


NOBODY = _Nobody()
CLIENT: ContextVar[Client] = ContextVar("http_client", default=NOBODY)
