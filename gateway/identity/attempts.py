"""Rate limits of log-ins and registrations by address: token buckets in a table of bounded size."""

import ipaddress
import math
from collections import OrderedDict

# An IPv6 customer has a whole /64 to come from.
IPV6_PREFIX = 64
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class TooManyAttempts(Exception):
    """This address has to wait. ``burst`` attempts are allowed within ``window_s``."""

    code = "rate_limited"

    def __init__(self, retry_after_ms: int, burst: int, window_s: int) -> None:
        super().__init__("too many attempts from this address")
        self.retry_after_ms = retry_after_ms
        self.burst = burst
        self.window_s = window_s


# How much longer than the first of the refused the last of them have to wait, at most.
SPREAD_MAX_MS = 15_000


class AttemptLimiter:
    """``burst`` attempts, then ``per_minute``. In a full table the least recently seen caller is removed.

    Each refusal has a later retry time than the one before, so that callers who share an address do not retry together.
    """

    def __init__(self, *, per_minute: int, burst: int, callers_max: int) -> None:
        self.per_minute = per_minute
        self.burst = burst
        self._callers_max = callers_max
        self._refill_ms = 60_000 / per_minute
        # Caller -> when its bucket will be full again (ms).
        self._full_at: OrderedDict[str, float] = OrderedDict()
        # Caller -> how many were refused and may be back; never more callers than above.
        self._refused: dict[str, int] = {}

    def attempt(self, caller: str, now_ms: int) -> None:
        """Count an attempt. Raises TooManyAttempts."""
        full_at = max(self._full_at.get(caller, 0.0), float(now_ms))
        wait_ms = full_at + self._refill_ms - now_ms - self.burst * self._refill_ms
        refused = self._refused.pop(caller, 0)
        if wait_ms > 0:
            self._refused[caller] = refused + 1
            wait_ms += min(refused * self._refill_ms, SPREAD_MAX_MS)
            raise TooManyAttempts(int(wait_ms) + 1, self.burst, math.ceil(self.burst * self._refill_ms / 1000))
        if refused > 1 and full_at > now_ms:
            self._refused[caller] = refused - 1
        self._full_at[caller] = full_at + self._refill_ms
        self._full_at.move_to_end(caller)
        if len(self._full_at) > self._callers_max:
            gone, _ = self._full_at.popitem(last=False)
            self._refused.pop(gone, None)


def parsed_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """IPv4-mapped (RFC 4291) and NAT64 addresses (RFC 6052) are their IPv4 addresses. Raises ValueError."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    if parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF) if parsed in _NAT64 else parsed


def caller_of(address: str | None) -> str:
    """The key of an address: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = parsed_address(address or "")
    except ValueError:
        return address or ""
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), IPV6_PREFIX), strict=False).network_address)
