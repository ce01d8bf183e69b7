"""Every setting of the engine. The only reader of the environment in the whole project."""

import tempfile
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "ECE_"
# The name of a UNIX socket is limited to 107 bytes. The longest that stands in the runtime directory is Ray's
# "/ray/t/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store".
RUNTIME_DIR_BYTES_MAX = 37
# An empty variable counts as not set.
NO_PROXIES = "none"


class BadSetting(Exception):
    """A setting has a value that the engine can't use. The message names the variable and never shows a secret."""


class Settings(BaseSettings):
    """Resolved settings. Frozen: a process reads them once, and hands children theirs by `child_environment`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    # Where things are
    data_dir: Path = Field(default=Path(".ece"), description="where data, logs and secrets are kept")
    runtime_dir: Path | None = Field(
        default=None,
        description="where sockets are kept while it runs; short; by default under the temporary directory",
    )
    host: str = Field(default="127.0.0.1", description="address that the gateway listens on")
    port: int = Field(default=8000, ge=1, le=65535, description="port that the gateway listens on")
    host_bind: str = Field(default="127.0.0.1", description="address that hosts' command streams listen on")

    # External servers, instead of the embedded ones
    database_url: SecretStr | None = Field(default=None, description="PostgreSQL to use instead of the embedded one")
    redis_url: SecretStr | None = Field(default=None, description="Redis to use instead of the embedded Valkey")
    ray_address: str | None = Field(default=None, description="Ray cluster to use instead of a local one, e.g. auto")

    # Secrets and identity
    jwt_secret: SecretStr | None = Field(default=None, min_length=32, description="key that signs access tokens")
    cluster_secret: SecretStr | None = Field(
        default=None, min_length=32, description="key by which gateways and hosts know each other"
    )
    access_token_ttl_s: int = Field(default=900, ge=1, le=86_400, description="life of an access token, seconds")
    bcrypt_cost: int = Field(default=12, ge=4, le=16, description="cost of hashing a password, as a power of two")

    # Money, in base units
    faucet: Literal["auto", "on", "off"] = Field(
        default="auto", description="deposits out of nowhere; auto: on with the embedded database, else off"
    )
    faucet_max: int = Field(default=10**12, ge=1, le=2**53 - 1, description="the most that one such deposit may be")
    bid_holds: Literal["on", "off"] = Field(
        default="on",
        description="bids have to be covered by their bidders' balances; off: auctions about no real money",
    )
    withdrawal_max: int = Field(default=10**10, ge=1, le=2**53 - 1, description="the most that one withdrawal may be")
    withdrawal_daily_max: int = Field(
        default=25 * 10**9, ge=1, le=2**53 - 1, description="the most that a user may withdraw in a day"
    )
    withdrawal_approval_above: int = Field(
        default=10**9, ge=0, le=2**53 - 1, description="an operator has to approve withdrawals above this"
    )
    withdrawal_cool_down_s: int = Field(
        default=60, ge=0, le=86_400, description="time between two withdrawals of a user, seconds"
    )

    # Size
    hosts: int = Field(default=1, ge=1, le=64, description="host actors that keep the auctions, on each node")
    spare_hosts: int = Field(default=1, ge=0, le=16, description="host actors that stand by for one that dies, on each")
    dedicated_max: int | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description="auctions that may have a host of their own; by default what nodes bear",
    )
    gateways: int = Field(default=1, ge=1, le=16, description="gateway processes, which share the port")
    workers: int = Field(default=1, ge=1, le=16, description="processes that run background jobs")
    slots: int = Field(default=256, ge=1, le=65_536, description="slots that auctions map to; fixed for a database")
    disk_reserve_bytes: int = Field(
        default=268_435_456,
        ge=33_554_432,
        description="free space on the disk of the data below which the embedded PostgreSQL refuses writes, bytes",
    )
    database_pool_max: int = Field(default=10, ge=2, le=500, description="database connections of a process")

    # Logs
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least level logged")
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, else json"
    )

    # Limits: every queue, batch and wait has one
    socket_commands_per_s: int = Field(default=200, ge=1, description="commands a socket may send, per second")
    socket_commands_burst: int = Field(default=400, ge=1, description="commands a socket may send at once")
    subscriptions_max: int = Field(default=200, ge=1, description="subscriptions of one socket")
    frame_bytes_max: int = Field(default=16_384, ge=256, description="size of one client frame, bytes")
    unsent_bytes_max: int = Field(
        default=1_048_576, ge=4_096, description="bytes that may wait for one slow socket before it is closed"
    )
    news_unsent_bytes_max: int = Field(
        default=16_384, ge=1_024, description="bytes that may wait for a socket before it gets states instead of news"
    )
    commands_under_way_max: int = Field(
        default=2_000, ge=2, description="bids of all sockets of one gateway that may wait for their answers"
    )
    stalled_after_s: float = Field(
        default=10.0, ge=0.5, le=300, description="time after which a client that reads nothing of what waits is closed"
    )
    frames_per_turn: int = Field(
        default=64, ge=1, description="frames of one socket that are read before others have their turn"
    )
    crowd_watchers: int = Field(
        default=256, ge=1, description="watchers of one auction beyond which they get states where much happens"
    )
    watchers_per_turn: int = Field(
        default=64, ge=1, description="watchers of one auction that are told before acks have their turn"
    )
    telling_share: float = Field(
        default=0.67, ge=0.05, le=1.0, description="share of a gateway's time that the news of one auction may take"
    )
    resume_events_max: int = Field(default=2_000, ge=1, description="missed events that a client may get at a resume")
    log_reads_max: int = Field(default=8, ge=1, description="resumes of one gateway that may read the log at once")
    seller_listings_per_hour: int = Field(default=200, ge=1, description="auctions that one seller may list in an hour")
    seller_live_max: int = Field(default=500, ge=1, description="scheduled and open auctions of one seller")
    seller_dedicated_max: int = Field(
        default=1, ge=0, description="scheduled and open auctions of one seller with a host of their own on request"
    )
    requests_max: int = Field(default=512, ge=1, description="HTTP requests that one gateway serves at once")
    requests_per_address_max: int = Field(default=128, ge=1, description="HTTP requests of one client address at once")
    request_bytes_max: int = Field(default=65_536, ge=1_024, description="size of a request's body, bytes")
    request_head_bytes_max: int = Field(
        default=65_536, ge=8_192, description="size of a request without its body: request line, headers, framing"
    )
    request_timeout_s: float = Field(
        default=10.0, ge=0.5, le=300, description="time in which a request has to arrive as a whole"
    )
    response_timeout_s: float = Field(
        default=20.0, ge=0.5, le=300, description="time in which a client has to read what it was answered"
    )
    unfinished_bytes_max: int = Field(
        default=67_108_864, ge=1_048_576, description="bytes of all requests that have not arrived as a whole"
    )
    connections_max: int | None = Field(
        default=None,
        ge=16,
        description="client connections of one gateway; by default sockets_max and 4,096; less where files are few",
    )
    connections_per_address_max: int = Field(
        default=2_000, ge=1, description="client connections, and sockets, of one client address"
    )
    trusted_proxies: str = Field(
        default="127.0.0.1,::1",
        description="addresses or networks whose X-Forwarded-For counts, and which have no limits by address; or none",
    )
    attempts_per_minute: int = Field(default=240, ge=1, description="log-ins and registrations from one address")
    logins_per_minute: int = Field(default=10, ge=1, description="attempts at one login from one address")
    passwords_at_once: int = Field(default=2, ge=1, le=64, description="passwords that one gateway hashes at once")
    passwords_waiting_max: int = Field(default=32, ge=0, description="passwords that may wait to be hashed")
    sockets_max: int = Field(default=10_000, ge=1, description="open sockets of one gateway")
    host_inbox_max: int = Field(default=20_000, ge=1, description="commands that may wait at one host")
    mailbox_max: int = Field(default=4_000, ge=1, description="commands that may wait at one auction")
    streams_max: int = Field(default=256, ge=1, description="command streams that a host accepts")
    stream_unread_bytes_max: int = Field(
        default=67_108_864, ge=65_536, description="bytes of answers that may wait for a gateway before it is cut off"
    )
    news_waiting_max: int = Field(default=1_000, ge=1, description="announcements of a host that may wait for Redis")
    host_pending_max: int = Field(default=50_000, ge=1, description="requests of a gateway that may wait for one host")
    moved_pending_max: int = Field(
        default=10_000, ge=1, description="requests of a gateway that may wait for auctions on the move"
    )
    batch_max: int = Field(default=2_000, ge=1, description="commands of one commit")
    snapshot_every_events: int = Field(default=1_000, ge=1, description="events between snapshots of an auction")
    passivate_after_s: int = Field(default=300, ge=1, description="idle time after which an auction leaves memory")

    # What the engine's own processes tell each other
    brief: bool = Field(default=False, description="`up` says only what it does: another command started it")

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


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else "?"
    return f"{PREFIX}{name.upper().removeprefix(PREFIX)}: {message.removeprefix('Value error, ')}"


def _of_scheme(url: SecretStr | None, *schemes: str) -> SecretStr | None:
    if url is not None and not url.get_secret_value().startswith(schemes):
        raise ValueError(f"should start with {' or '.join(schemes)}")
    return url
