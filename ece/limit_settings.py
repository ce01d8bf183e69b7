"""The settings of limits, origins and TLS: a part of `ece/settings.py`."""

from pathlib import Path
from typing import Literal

from ece.setting_fields import Group, setting
from gateway.http.connections import CONNECTIONS_PER_ADDRESS_MAX, SOCKETS_MAX, ConnectionLimits
from gateway.identity.passwords.hasher import AT_ONCE_MAX
from gateway.rest.limits import Limits as RestLimits
from gateway.websocket.connection import SessionLimits

_REST, _SOCKET, _CONNECTIONS = RestLimits(), SessionLimits(), ConnectionLimits()


class GatewayLimits(Group):
    """Limits of a gateway"""

    sockets_max: int = setting(SOCKETS_MAX, "open WebSockets; at most seven eighths of the connections", ge=1)
    connections_max: int | None = setting(
        None, "client connections, WebSockets included", by_default="`ECE_SOCKETS_MAX` and 4,096", ge=16
    )
    connections_per_address_max: int = setting(
        CONNECTIONS_PER_ADDRESS_MAX, "connections, and WebSockets, of one client address (IPv6: of its /64)", ge=1
    )
    socket_commands_per_s: int = setting(_SOCKET.commands_per_s, "sustained rate of one socket", "commands/s", ge=1)
    socket_commands_burst: int = setting(_SOCKET.commands_burst, "commands of one socket at once", ge=1)
    requests_max: int = setting(_REST.requests_max, "HTTP requests at once", ge=1)
    requests_per_address_max: int = setting(
        _REST.requests_per_address_max, "HTTP requests of one client address at once", ge=1
    )
    request_timeout_s: float = setting(
        _CONNECTIONS.request_timeout_s,
        "time in which a request has to arrive as a whole, and a new connection has to send its first",
        "seconds",
        ge=0.5,
        le=300,
    )
    response_timeout_s: float = setting(
        _CONNECTIONS.response_timeout_s,
        "time in which a client has to read a response, or the next 48 KiB of a large one",
        "seconds",
        ge=0.5,
        le=300,
    )
    attempts_per_minute: int = setting(
        _REST.attempts_per_minute, "log-ins and registrations from one address", "per minute", ge=1
    )
    logins_per_minute: int = setting(
        _REST.logins_per_minute, "attempts at one login from one address", "per minute", ge=1
    )
    passwords_at_once: int = setting(AT_ONCE_MAX, "passwords that are hashed at the same time", ge=1, le=64)
    deletion_grace_s: int = setting(
        _REST.deletion_grace_s, "time in which a log-in keeps an account that its user wants deleted", "seconds", ge=0
    )


class SellerQuotas(Group):
    """Quotas of a seller"""

    seller_listings_per_hour: int = setting(
        _REST.seller_quota.listed_per_hour, "auctions listed in an hour", "per hour", ge=1
    )
    seller_live_max: int = setting(_REST.seller_quota.live, "scheduled and open auctions", ge=1)
    seller_dedicated_max: int = setting(
        _REST.seller_quota.dedicated, "of these, auctions that asked for a dedicated host", ge=0
    )


class RateLimits(Group):
    """Rate limits"""

    limits_fail: Literal["local", "open"] = setting(
        "local",
        "what a gateway does while Redis does not answer: `local` counts by itself, `open` admits all; attempts to log "
        "in are always counted",
    )
    address_requests_per_s: int = setting(
        _REST.address_requests_per_s, "requests of one client address, by cost", "per second", ge=1, le=1_000_000
    )
    address_requests_burst: int = setting(_REST.address_requests_burst, "of these at once", ge=1, le=1_000_000)
    account_requests_per_s: int = setting(
        _REST.account_requests_per_s, "requests of one account, by cost", "per second", ge=1, le=1_000_000
    )
    account_requests_burst: int = setting(_REST.account_requests_burst, "of these at once", ge=1, le=1_000_000)
    account_bids_per_s: int = setting(
        _REST.account_bids_per_s, "bids and commands for trades of one account", "per second", ge=1, le=1_000_000
    )
    account_bids_burst: int = setting(_REST.account_bids_burst, "of these at once", ge=1, le=1_000_000)


class Web(Group):
    """Browsers and TLS"""

    cors_origins: str | None = setting(
        None,
        "origins whose pages may use the REST API, separated by commas: `https://cards.example`",
        by_default="none",
    )
    tls_cert_file: Path | None = setting(
        None, "certificate chain of the gateways, PEM; with it they serve HTTPS only", by_default="without TLS"
    )
    tls_key_file: Path | None = setting(
        None, "private key of the certificate, PEM, without a password", by_default="in the file of the certificate"
    )
