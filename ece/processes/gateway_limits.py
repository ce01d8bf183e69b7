"""The limits of a gateway: from the settings, and for its client connections also from the files that it may open."""

import resource

import structlog

from domain.ledger.withdrawals import Limits as WithdrawalLimits
from ece.settings import Settings
from gateway.http.address_limit import AddressLimit
from gateway.http.connections import CONNECTIONS_WITHOUT_SOCKETS, ConnectionLimits, Connections
from gateway.rest.ledger.services import MoneyRules
from gateway.rest.limits import Limits
from gateway.websocket.connection import SessionLimits
from persistence.sales.listing_quotas import SellerQuota

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
    wanted = settings.connections_max or settings.sockets_max + CONNECTIONS_WITHOUT_SOCKETS
    allowed = max(1, files_max - FILES_RESERVED - settings.database_pool_max)
    limits = ConnectionLimits(
        connections_max=min(wanted, allowed),
        request_timeout_s=settings.request_timeout_s,
        response_timeout_s=settings.response_timeout_s,
    )
    write = log.warning if allowed < wanted else log.info
    write("connection_limit", connections_max=limits.connections_max, wanted=wanted, files_max=files_max)
    return Connections(limits, AddressLimit(settings.connections_per_address_max, settings.unlimited_addresses))


def sockets_limit(settings: Settings, connections: Connections) -> int:
    """How many of the connections may be sockets: REST and health checks need some, too."""
    connections_max = connections.limits.connections_max
    return min(settings.sockets_max, connections_max - connections_max // 8)


def session_limits(settings: Settings) -> SessionLimits:
    """The limits of one socket."""
    return SessionLimits(commands_per_s=settings.socket_commands_per_s, commands_burst=settings.socket_commands_burst)


def money_rules(settings: Settings) -> MoneyRules:
    """What users may ask of the ledger."""
    withdrawals = WithdrawalLimits(
        settings.withdrawal_max,
        settings.withdrawal_daily_max,
        settings.withdrawal_approval_above,
        settings.withdrawal_cool_down_s * 1000,
    )
    return MoneyRules(settings.faucet == "on", settings.faucet_max, withdrawals)


def rest_limits(settings: Settings) -> Limits:
    """The limits of REST."""
    return Limits(
        requests_max=settings.requests_max,
        requests_per_address_max=settings.requests_per_address_max,
        trusted_proxies=settings.unlimited_addresses,
        attempts_per_minute=settings.attempts_per_minute,
        attempts_burst=settings.attempts_per_minute,
        logins_per_minute=settings.logins_per_minute,
        logins_burst=settings.logins_per_minute,
        deletion_grace_s=settings.deletion_grace_s,
        refresh_ttl_s=settings.session_idle_s,
        session_max_s=settings.session_max_s,
        cors_origins=settings.origins,
        operators_prove=settings.operators_prove,
        address_requests_per_s=settings.address_requests_per_s,
        address_requests_burst=settings.address_requests_burst,
        account_requests_per_s=settings.account_requests_per_s,
        account_requests_burst=settings.account_requests_burst,
        account_bids_per_s=settings.account_bids_per_s,
        account_bids_burst=settings.account_bids_burst,
        seller_quota=SellerQuota(
            settings.seller_listings_per_hour, settings.seller_live_max, settings.seller_dedicated_max
        ),
    )
