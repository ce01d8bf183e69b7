"""Every setting of the engine, by group. The only reader of the environment in the whole project.

A default that a class of limits has is taken from there, so that each default is defined once.
"""

import os
import tempfile
from collections.abc import Iterator
from difflib import get_close_matches
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from actors.hosting.limits import HostLimits
from actors.placement.control import DirectorLimits
from gateway.http.address_limit import LOOPBACK
from gateway.http.connections import CONNECTIONS_PER_ADDRESS_MAX, SOCKETS_MAX, ConnectionLimits
from gateway.identity.passwords import AT_ONCE_MAX
from gateway.rest.ledger.services import MoneyRules
from gateway.rest.limits import Limits as RestLimits
from gateway.websocket.connection import SessionLimits

PREFIX = "ECE_"
# The name of a UNIX socket is limited to 107 bytes. The longest one in the runtime directory is Ray's
# "/ray/t/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store".
RUNTIME_DIR_BYTES_MAX = 37
NO_PROXIES = "none"
AMOUNT_MAX = 2**53 - 1
# Variables with the prefix that are no settings: of the scripts, of ray_cluster.yaml, and of the supervisor.
OTHER_VARIABLES = frozenset({"ECE_INSTANCE", "ECE_PYTHON", "ECE_REPOSITORY", "ECE_SERVICE"})
SIMILARITY_MIN = 0.7

_MONEY, _REST, _SOCKET, _CONNECTIONS = MoneyRules(), RestLimits(), SessionLimits(), ConnectionLimits()


class BadSetting(Exception):
    """A setting has a value that the engine can't use. The message names the variable and never shows a secret."""


def setting(default: object, meaning: str, unit: str = "", *, by_default: str = "", **bounds: Any) -> Any:
    """A field. `by_default` says in words what a default of None means."""
    return Field(
        default=default,
        description=meaning,
        json_schema_extra={"unit": unit, "by_default": by_default},
        **bounds,
    )


class Group(BaseSettings):
    """Settings of one part of the engine. The docstring of a group is its title."""

    # An empty variable counts as not set.
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)


class Network(Group):
    """Directories and network"""

    data_dir: Path = setting(Path(".ece"), "directory of data, logs and secrets")
    runtime_dir: Path | None = setting(
        None,
        "directory of sockets while the engine runs; 37 bytes at most",
        by_default="`/tmp/ece-…`, by data directory",
    )
    host: str = setting("127.0.0.1", "address that the gateways listen on")
    port: int = setting(8000, "port that the gateways listen on", ge=1, le=65535)
    host_bind: str = setting(
        "127.0.0.1", "address that hosts listen on for gateways; in a cluster one that all nodes reach"
    )
    trusted_proxies: str = setting(
        ",".join(LOOPBACK),
        "addresses or networks whose `X-Forwarded-For` is believed and which have no limits by address; or `none`",
    )


class Servers(Group):
    """External servers"""

    database_url: SecretStr | None = setting(
        None, "PostgreSQL to use: `postgresql://user:password@host:port/database`", by_default="embedded"
    )
    redis_url: SecretStr | None = setting(
        None, "Redis to use: `redis://…`, `rediss://…` or `unix://…`", by_default="embedded"
    )
    ray_address: str | None = setting(
        None, "Ray cluster to use: `auto` (the one of this node) or `host:port`", by_default="embedded"
    )
    database_pool_max: int = setting(10, "database connections of one process", ge=2, le=500)


class Identity(Group):
    """Secrets and identity"""

    jwt_secret: SecretStr | None = setting(
        None, "key that signs access tokens; 32 characters or more", by_default="`secrets/jwt`", min_length=32
    )
    cluster_secret: SecretStr | None = setting(
        None,
        "key by which gateways and hosts authenticate each other; 32 characters or more",
        by_default="`secrets/cluster`",
        min_length=32,
    )
    access_token_ttl_s: int = setting(900, "lifetime of an access token", "seconds", ge=1, le=86_400)
    bcrypt_cost: int = setting(12, "work to hash a password; each step doubles it", "log2 of rounds", ge=4, le=16)


class Money(Group):
    """Money"""

    bid_holds: Literal["on", "off"] = setting(
        "on", "`on`: a bid needs a balance that covers it; `off`: for auctions without real money"
    )
    faucet: Literal["auto", "on", "off"] = setting(
        "auto", "deposits that no payment backs: `on`, `off`, or `auto` (on with the embedded database only)"
    )
    faucet_max: int = setting(_MONEY.faucet_max, "largest such deposit", "base units", ge=1, le=AMOUNT_MAX)
    withdrawal_max: int = setting(
        _MONEY.withdrawals.amount_max, "largest withdrawal", "base units", ge=1, le=AMOUNT_MAX
    )
    withdrawal_daily_max: int = setting(
        _MONEY.withdrawals.daily_max, "withdrawals of one user in 24 hours", "base units", ge=1, le=AMOUNT_MAX
    )
    withdrawal_approval_above: int = setting(
        _MONEY.withdrawals.approval_above,
        "amount above which an operator has to approve a withdrawal",
        "base units",
        ge=0,
        le=AMOUNT_MAX,
    )
    withdrawal_cool_down_s: int = setting(
        _MONEY.withdrawals.cool_down_ms // 1000, "time between two withdrawals of a user", "seconds", ge=0, le=86_400
    )


class Size(Group):
    """Size and placement"""

    gateways: int = setting(1, "gateway processes; they share the port, and each can use one core", ge=1, le=16)
    workers: int = setting(1, "processes that run background jobs", ge=1, le=16)
    hosts: int = setting(DirectorLimits.hosts, "hosts on each node", ge=1, le=64)
    spare_hosts: int = setting(
        DirectorLimits.spare_hosts, "hosts on each node that take over from a host that dies", ge=0, le=16
    )
    dedicated_max: int | None = setting(
        None,
        "dedicated hosts of all nodes; by default the smaller of two a core and a tenth of the memory by 64 MiB",
        by_default="by cores and memory",
        ge=0,
        le=10_000,
    )
    slots: int = setting(
        256, "slots that auctions map to; must not change once a database has auctions", ge=1, le=65_536
    )
    passivate_after_s: int = setting(
        HostLimits().passivate_after_ms // 1000, "idle time after which an auction leaves memory", "seconds", ge=1
    )
    disk_reserve_bytes: int = setting(
        268_435_456,
        "free disk space below which the embedded PostgreSQL refuses writes and an engine does not start",
        "bytes",
        ge=33_554_432,
    )


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


class SellerQuotas(Group):
    """Quotas of a seller"""

    seller_listings_per_hour: int = setting(
        _REST.seller_quota.listed_per_hour, "auctions listed in an hour", "per hour", ge=1
    )
    seller_live_max: int = setting(_REST.seller_quota.live, "scheduled and open auctions", ge=1)
    seller_dedicated_max: int = setting(
        _REST.seller_quota.dedicated, "of these, auctions that asked for a dedicated host", ge=0
    )


class Logs(Group):
    """Logs"""

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "least level that is logged: `debug`, `info`, `warning` or `error`"
    )
    log_format: Literal["auto", "json", "console"] = setting(
        "auto", "`json`, `console`, or `auto` (`console` on a terminal, else `json`)"
    )


# In the order of docs/operations.md.
GROUPS: tuple[type[Group], ...] = (Network, Servers, Identity, Money, Size, GatewayLimits, SellerQuotas, Logs)


class Settings(Network, Servers, Identity, Money, Size, GatewayLimits, SellerQuotas, Logs):
    """Resolved settings. Frozen: a process reads them once, and hands children theirs by `child_environment`."""

    @field_validator("data_dir", "runtime_dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        return _of_scheme(url, "postgresql://", "postgres://")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr | None) -> SecretStr | None:
        return _of_scheme(url, "redis://", "rediss://", "unix://")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        proxies = [proxy.strip() for proxy in value.split(",") if proxy.strip()]
        for proxy in proxies if proxies != [NO_PROXIES] else []:
            try:
                ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(f"{proxy} is neither an address nor a network") from None
        return ",".join(proxies)

    @property
    def proxies(self) -> list[str]:
        """`trusted_proxies`, one by one."""
        return [] if self.trusted_proxies == NO_PROXIES else self.trusted_proxies.split(",")

    @property
    def sockets_dir(self) -> Path:
        """Short private directory for sockets and Ray's session: one for each data directory."""
        if self.runtime_dir is not None:
            return self.runtime_dir
        digest = sha256(str(self.data_dir.resolve()).encode()).hexdigest()[:10]
        return Path(tempfile.gettempdir()) / f"ece-{digest}"

    @property
    def base_url(self) -> str:
        """Where a client on this machine reaches the gateway."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{host}:{self.port}"

    def child_environment(self) -> dict[str, str]:
        """These settings as environment variables, with secrets: for processes that the engine itself starts."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            PREFIX + name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in values.items()
            if value is not None
        }

    def changed(self, **values: object) -> Self:
        """A copy with other values, not validated again."""
        return self.model_copy(update=values)


def load_settings(**values: object) -> Settings:
    """Settings from the environment, with `values` before it. Raises BadSetting with one line for each bad one."""
    try:
        return Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        # `from None`: pydantic's own message shows the input, which may be a secret.
        raise BadSetting("; ".join(_sentence(problem["loc"], problem["msg"]) for problem in error.errors())) from None


def revealed(secret: SecretStr | None) -> str:
    """The text of a setting that the supervisor has filled in for its processes."""
    assert secret is not None, "the supervisor sets it"
    return secret.get_secret_value()


def unknown_variables() -> Iterator[str]:
    """A sentence for each variable of the environment that looks like a setting and is none."""
    for variable in sorted(os.environ):
        # pydantic-settings does not look at the case of names.
        prefix, name = variable[: len(PREFIX)].upper(), variable[len(PREFIX) :].lower()
        if prefix != PREFIX or name in Settings.model_fields or prefix + name.upper() in OTHER_VARIABLES:
            continue
        nearest = get_close_matches(name, Settings.model_fields, 1, SIMILARITY_MIN)
        hint = f"Did you mean {PREFIX}{nearest[0].upper()}?" if nearest else "No setting has a similar name."
        yield f"{variable} is not a setting and has no effect. {hint} `ece doctor` lists all settings."


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else "?"
    return f"{PREFIX}{name.upper().removeprefix(PREFIX)}: {message.removeprefix('Value error, ')}"


def _of_scheme(url: SecretStr | None, *schemes: str) -> SecretStr | None:
    if url is not None and not url.get_secret_value().startswith(schemes):
        raise ValueError(f"should start with {' or '.join(schemes)}")
    return url
