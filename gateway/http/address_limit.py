"""Limits for each client address: connections, requests, sockets at the same time."""

import ipaddress
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from gateway.identity.attempts import caller_of, parsed_address

ADDRESSES_CACHED = 4_096
LOOPBACK = ("127.0.0.1", "::1")


def plain_address(address: str) -> str:
    """An IPv4 address as such, where a socket that takes both shows it as IPv6 (``::ffff:192.0.2.1``)."""
    return address.removeprefix("::ffff:") if "." in address else address


class AddressLimit:
    """Counts by client address (IPv6: by /64), up to a limit.

    Addresses of trusted proxies have no limit: all clients behind a proxy come from there.
    """

    def __init__(self, limit: int, trusted_proxies: Iterable[str] = LOOPBACK) -> None:
        self.limit = limit
        self._trusted = [ipaddress.ip_network(proxy, strict=False) for proxy in trusted_proxies]
        self._held: Counter[str] = Counter()
        self.key_of = lru_cache(ADDRESSES_CACHED)(self._find_key)

    def acquire(self, address: str | None) -> bool:
        """Count one more of this address; False: the limit is reached."""
        key = self.key_of(address)
        if key is None:
            return True
        if self._held[key] >= self.limit:
            return False
        self._held[key] += 1
        return True

    def release(self, address: str | None) -> None:
        """Count one less of this address."""
        key = self.key_of(address)
        if key is None:
            return
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]

    def _find_key(self, address: str | None) -> str | None:
        """The key that is counted; None for an address without a limit."""
        try:
            parsed = parsed_address(address or "")
        except ValueError:
            # A UNIX socket, or a name that a trusted proxy made up.
            return address or None
        trusted = any(parsed in network for network in self._trusted)
        return None if trusted else caller_of(address)
