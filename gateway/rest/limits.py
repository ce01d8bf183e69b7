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
    # Whose addresses have no limit: proxies whose X-Forwarded-For is trusted, or loopback.
    trusted_proxies: Sequence[str] = LOOPBACK
    # Whose pages may use the API; none: those of the gateway alone.
    cors_origins: Sequence[str] = ()
    attempts_per_minute: int = 240
    attempts_burst: int = 240
    # For one login from one address: makes guessing a password take years.
    logins_per_minute: int = 10
    logins_burst: int = 10
    # Requests of any kind, by their cost (gateway/rest/request_limits.py).
    address_requests_per_s: int = 1_000
    address_requests_burst: int = 10_000
    account_requests_per_s: int = 1_000
    account_requests_burst: int = 10_000
    # Bids and other commands for entities, over sockets and REST.
    account_bids_per_s: int = 1_000
    account_bids_burst: int = 10_000
    callers_max: int = 10_000
    seller_quota: SellerQuota = field(default_factory=SellerQuota)
    # Of images, by one user.
    upload_bytes_per_day: int = 256 * 1024 * 1024
    # Until then a log-in keeps an account that its user wants deleted.
    deletion_grace_s: int = 14 * 24 * 3600
    # A session ends when it was not used for so long, and so long after its log-in.
    refresh_ttl_s: int = 30 * 24 * 3600
    session_max_s: int = 90 * 24 * 3600
    # Whether what moderators and admins do needs a fresh second factor.
    operators_prove: bool = False
    ask_timeout_s: float = 5.0
    probe_timeout_s: float = 2.0
