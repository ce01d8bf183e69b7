"""The bounds of the REST API, and defaults of the settings for some of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.http.address_limit import LOOPBACK
from persistence.sales.listing_quotas import SellerQuota


@dataclass(frozen=True)
class Limits:
    """The bounds of the REST API; see docs/architecture.md, Bounds."""

    body_bytes_max: int = 64 * 1024
    requests_max: int = 512
    requests_per_address_max: int = 128
    # Proxies whose X-Forwarded-For is trusted; their own addresses have no limit.
    trusted_proxies: Sequence[str] = LOOPBACK
    attempts_per_minute: int = 240
    attempts_burst: int = 240
    # For one login from one address: makes guessing a password take years.
    logins_per_minute: int = 10
    logins_burst: int = 10
    callers_max: int = 10_000
    seller_quota: SellerQuota = field(default_factory=SellerQuota)
    refresh_ttl_s: int = 30 * 24 * 3600
    ask_timeout_s: float = 5.0
    probe_timeout_s: float = 2.0
