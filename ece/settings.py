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
from typing import Literal, Self

from pydantic import SecretStr, ValidationError, field_validator

from chain import base58
from chain.local.faults import faults_of
from chain.local.slots import SLOT_MS
from chain.rpc.addresses import endpoint_address
from domain.permissions import DEFAULT_ROLES
from ece.limit_settings import GatewayLimits, RateLimits, SellerQuotas, Web
from ece.login_settings import Identity, providers_of, public_url_of, redirects_of
from ece.mail_settings import PUSH_SERVICES, Mail
from ece.setting_fields import PREFIX, Group, setting
from ece.size_settings import Size
from gateway.http.address_limit import LOOPBACK
from gateway.identity.bounded_http import is_loopback
from gateway.rest.ledger.services import MoneyRules
from gateway.trades.conditions import TradeConditions

# The name of a UNIX socket is limited to 107 bytes. The longest one in the runtime directory is Ray's
# "/ray/t/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store".
RUNTIME_DIR_BYTES_MAX = 37
NO_PROXIES = "none"
NO_CHAIN = "none"
ADDRESS_BYTES, ADDRESS_CHARACTERS_MAX = 32, 44
AMOUNT_MAX = 2**53 - 1
# Variables with the prefix that are no settings: of the scripts, of ray_cluster.yaml, and of the supervisor.
OTHER_VARIABLES = frozenset({"ECE_INSTANCE", "ECE_PYTHON", "ECE_REPOSITORY", "ECE_SERVICE"})
SIMILARITY_MIN = 0.7

_MONEY, _TRADES = MoneyRules(), TradeConditions()


class BadSetting(Exception):
    """A setting has a value that the engine can't use. The message names the variable and never shows a secret."""


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
    trusted_proxies: str | None = setting(
        None,
        "addresses or networks whose `X-Forwarded-For` is believed and which have no limits by address, or `none`; "
        "by default none is believed, and loopback has no limits",
        by_default="none believed",
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


class Chain(Group):
    """Chain"""

    solana_rpc_url: SecretStr | None = setting(
        None,
        "Solana RPC servers to use, separated by commas: `https://…` or `http://…`; `none`: no chain",
        by_default="embedded",
    )
    chain_port: int | None = setting(
        None,
        "port of the embedded chain, and the next one for the WebSockets of web3.js 1.x; loopback only",
        by_default="8899, or a free one",
        ge=1,
        le=65534,
    )
    minting_actors: int = setting(1, "actors of the minting pool; each signs with a fee payer of its own", ge=0, le=16)
    anchor_after_s: int = setting(
        60,
        "longest time after which the log of an ended auction or trade is anchored on the chain",
        "seconds",
        ge=1,
        le=86_400,
    )
    chain_slot_ms: int = setting(SLOT_MS, "time of a slot of the embedded chain", "milliseconds", ge=10, le=60_000)
    chain_faults: str | None = setting(
        None, 'faults of the embedded chain at its start: `{"dropRate": 0.5}`', by_default="none"
    )
    mpl_core_so: Path | None = setting(
        None, "file of the Metaplex Core program, which the embedded chain loads", by_default="without"
    )
    usdc_mint: str | None = setting(
        None,
        "address of the mint of USDC; with an external chain without it no USDC moves on chain",
        by_default="embedded",
    )


class Money(Group):
    """Money"""

    bid_holds: Literal["on", "off"] = setting(
        "on", "`on`: a bid needs a balance that covers it; `off`: for auctions without real money"
    )
    faucet: Literal["auto", "on", "off"] = setting(
        "auto",
        "deposits that no payment backs: `on`, `off`, or `auto` (on if database and chain are embedded); not with an "
        "external chain",
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


class Trades(Group):
    """Trades"""

    trade_fee_bp: int = setting(
        _TRADES.fee_bp, "share of the house in the money of a trade", "basis points", ge=0, le=5_000
    )
    trade_expiry_min_s: int = setting(
        _TRADES.expiry_min_ms // 1000, "shortest time that an offer is open", "seconds", ge=1, le=30 * 86_400
    )
    trade_mask_contacts: bool = setting(
        _TRADES.mask_contacts, "mask e-mail addresses, phone numbers, links and handles in messages of trades"
    )
    trade_protection_value: int = setting(
        500_000_000, "from this value on a trade is protected: a moderator can reverse it", "base units", ge=0
    )
    trade_protection_s: int = setting(
        7 * 86_400, "how long after its execution; 0: no trade is protected", "seconds", ge=0, le=90 * 86_400
    )
    trade_dispute_s: int = setting(
        14 * 86_400, "how long after its execution a party can dispute a trade", "seconds", ge=0, le=90 * 86_400
    )


class Wallets(Group):
    """Wallets and keys"""

    wallet_key: SecretStr | None = setting(
        None,
        "master secrets, whose keys encrypt the data keys of all that is encrypted, the newest first, separated by "
        "commas; each has 32 characters or more",
        by_default="`secrets/wallets`",
        min_length=32,
    )
    encrypt_emails: bool = setting(False, "encrypt e-mail addresses at rest; see `ece keys emails`")
    wallet_domain: str | None = setting(
        None,
        "domain that an outside wallet has to name in the message by which it is linked",
        by_default="`ECE_HOST` and `ECE_PORT`",
        max_length=253,
    )
    chain_authority_key: SecretStr | None = setting(
        None, "key that mints: a secret key in base58, or `https://signer/path#ADDRESS`", by_default="`secrets/chain`"
    )
    chain_vault_key: SecretStr | None = setting(None, "key of the vault of listed cards", by_default="`secrets/chain`")
    chain_treasury_key: SecretStr | None = setting(
        None, "key of the account that pays withdrawals and gets deposits", by_default="`secrets/chain`"
    )
    chain_fee_payers: SecretStr | None = setting(
        None, "keys that pay fees, one for each minting actor, separated by commas", by_default="`secrets/chain`"
    )
    chain_signer_token: SecretStr | None = setting(None, "bearer token for remote signers", by_default="none")


class Content(Group):
    """Content"""

    content_dir: Path | None = setting(
        None,
        "directory of stored content (pictures); on several machines the same one, on a shared file system",
        by_default="`content` in the data directory",
    )
    ipfs_api_url: SecretStr | None = setting(
        None, "RPC API of a Kubo node that pins all content: `http://127.0.0.1:5001`", by_default="off"
    )
    pinning_url: str | None = setting(
        None, "pinning service for all content (IPFS Pinning Service API): `https://…`", by_default="off"
    )
    pinning_token: SecretStr | None = setting(None, "bearer token of the pinning service", by_default="none")
    arweave_upload_url: str | None = setting(
        None, "service that uploads all content to Arweave: `https://upload.ardrive.io/v1/tx`", by_default="off"
    )
    arweave_key: SecretStr | None = setting(
        None, "key that signs what is uploaded to Arweave; as for the chain", by_default="`secrets/chain`"
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
GROUPS: tuple[type[Group], ...] = (
    Network, Servers, Chain, Identity, Mail, Money, Trades, Wallets, Content, Size, GatewayLimits, RateLimits,
    SellerQuotas, Web, Logs,
)  # fmt: skip


class Settings(
    Network, Servers, Chain, Identity, Mail, Money, Trades, Wallets, Content, Size, GatewayLimits, RateLimits,
    SellerQuotas, Web, Logs,
):  # fmt: skip
    """Resolved settings. Frozen: a process reads them once, and hands children theirs by `child_environment`."""

    @field_validator("data_dir", "content_dir", "runtime_dir", "mpl_core_so", "tls_cert_file", "tls_key_file")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        return _of_scheme(url, "postgresql://", "postgres://")

    @field_validator("new_user_roles")
    @classmethod
    def _are_roles(cls, value: str) -> str:
        if not set(_split(value)) <= set(DEFAULT_ROLES):
            raise ValueError(f"should be of {', '.join(DEFAULT_ROLES)}")
        return value

    @property
    def new_user_role_list(self) -> list[str]:
        """The roles of each new user."""
        return _split(self.new_user_roles)

    @field_validator("ipfs_api_url")
    @classmethod
    def _is_http(cls, url: SecretStr | None) -> SecretStr | None:
        return _of_scheme(url, "http://", "https://")

    @field_validator("pinning_url", "arweave_upload_url", "public_url")
    @classmethod
    def _is_service(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("should start with http:// or https://")
        return url

    @field_validator("public_url")
    @classmethod
    def _is_site(cls, value: str | None) -> str | None:
        return None if value is None else public_url_of(value)

    @field_validator("cors_origins", "push_services")
    @classmethod
    def _are_origins(cls, value: str | None) -> str | None:
        """Whole origins: `*` would let any page use the cookies of a session."""
        origins = [one.strip() for one in (value or "").split(",") if one.strip()]
        return ",".join(map(public_url_of, origins)) or None

    @field_validator("oidc_providers")
    @classmethod
    def _are_providers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            providers_of(value.get_secret_value())  # raises ValueError
        return value

    @field_validator("login_redirects")
    @classmethod
    def _are_pages(cls, value: str | None) -> str | None:
        return None if value is None else ",".join(sorted(redirects_of(value)))

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr | None) -> SecretStr | None:
        return _of_scheme(url, "redis://", "rediss://", "unix://")

    @field_validator("solana_rpc_url")
    @classmethod
    def _are_rpc_urls(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        urls = [url.strip() for url in value.get_secret_value().split(",") if url.strip()]
        if not urls or (NO_CHAIN in urls and len(urls) > 1):
            raise ValueError("should be URLs that start with https:// or http://, or none")
        if urls != [NO_CHAIN]:
            for url in urls:
                endpoint_address(url)  # raises ValueError
        return SecretStr(",".join(urls))

    @field_validator("chain_faults")
    @classmethod
    def _are_faults(cls, value: str | None) -> str | None:
        if value is not None:
            faults_of(value)  # raises ValueError
        return value

    @field_validator("usdc_mint")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and (len(value) > ADDRESS_CHARACTERS_MAX or len(base58.decode(value)) != ADDRESS_BYTES):
            raise ValueError("should be an address in base58")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str | None) -> str | None:
        if value is None:
            return None
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
        return [] if self.trusted_proxies in (None, NO_PROXIES) else str(self.trusted_proxies).split(",")

    @property
    def unlimited_addresses(self) -> list[str]:
        """Who has no limits by address: the trusted proxies; without that setting, loopback."""
        return list(LOOPBACK) if self.trusted_proxies is None else self.proxies

    @property
    def origins(self) -> list[str]:
        """`cors_origins`, one by one."""
        return [one.strip() for one in (self.cors_origins or "").split(",") if one.strip()]

    @property
    def push_origins(self) -> list[str]:
        """`push_services`, one by one."""
        return self.push_services.split(",") if self.push_services else list(PUSH_SERVICES)

    @property
    def rpc_urls(self) -> list[str]:
        """The Solana RPC servers, one by one; none without a chain. The supervisor fills in the embedded one."""
        urls = "" if self.solana_rpc_url is None else self.solana_rpc_url.get_secret_value()
        return [] if urls in ("", NO_CHAIN) else urls.split(",")

    @property
    def sockets_dir(self) -> Path:
        """Short private directory for sockets and Ray's session: one for each data directory."""
        if self.runtime_dir is not None:
            return self.runtime_dir
        digest = sha256(str(self.data_dir.resolve()).encode()).hexdigest()[:10]
        return Path(tempfile.gettempdir()) / f"ece-{digest}"

    @property
    def external_chain(self) -> bool:
        """Whether an external chain is set, where money is real."""
        return bool(self.rpc_urls)

    @property
    def has_faucet(self) -> bool:
        """Whether deposits without payment are accepted: by default only where nothing is real."""
        return self.faucet == "on" or (self.faucet == "auto" and self.database_url is None and not self.external_chain)

    @property
    def base_url(self) -> str:
        """Where a client on this machine reaches the gateway."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return f"{'http' if self.tls_cert_file is None else 'https'}://{host}:{self.port}"

    @property
    def site_url(self) -> str:
        """Where users reach the engine, without a slash at the end."""
        return self.public_url or self.base_url

    @property
    def operators_prove(self) -> bool:
        """Whether operators need a fresh second factor: by default where others than this machine reach the engine."""
        listens_here = self.host not in ("0.0.0.0", "::") and is_loopback(self.base_url)
        local = listens_here and is_loopback(self.site_url)
        return self.admin_second_factor == "required" or (self.admin_second_factor == "auto" and not local)

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


def _split(value: str) -> list[str]:
    return [one.strip() for one in value.split(",") if one.strip()]
