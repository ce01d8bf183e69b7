"""The settings of identity: a part of `ece/settings.py`; and those of ways to log in as values, each of which raises
ValueError."""

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import SecretStr

from domain.permissions import DEFAULT_ROLES
from ece.setting_fields import Group, setting
from gateway.identity.bounded_http import is_loopback
from gateway.identity.openid import Provider

PROVIDERS_MAX = 10
REDIRECTS_MAX = 20
_NAME = re.compile(r"[a-z0-9-]{1,30}")


class Identity(Group):
    """Secrets and identity"""

    jwt_secret: SecretStr | None = setting(
        None,
        "secret from which refresh tokens and CSRF tokens follow; 32 characters or more",
        by_default="`secrets/jwt`",
        min_length=32,
    )
    cluster_secret: SecretStr | None = setting(
        None,
        "key by which gateways and hosts authenticate each other; 32 characters or more",
        by_default="`secrets/cluster`",
        min_length=32,
    )
    access_token_ttl_s: int = setting(900, "lifetime of an access token", "seconds", ge=1, le=86_400)
    session_idle_s: int = setting(
        30 * 86_400, "a session that is not used for so long ends", "seconds", ge=60, le=366 * 86_400
    )
    session_max_s: int = setting(
        90 * 86_400, "a session ends so long after its log-in, however much it is used", "seconds",
        ge=60, le=10 * 366 * 86_400,
    )  # fmt: skip
    public_url: str | None = setting(
        None,
        "where users reach the engine: `https://cards.example`; passkeys, wallets and providers are bound to it",
        by_default="`ECE_HOST` and `ECE_PORT`",
        max_length=500,
    )
    oidc_providers: SecretStr | None = setting(
        None,
        'OpenID Connect providers by name: `{"google": {"issuer": "https://…", "client_id": "…", '
        '"client_secret": "…"}}`',
        by_default="none",
    )
    login_redirects: str | None = setting(
        None, "pages of apps that a log-in by a provider may return to, separated by commas", by_default="none"
    )
    new_user_roles: str = setting(
        ",".join(DEFAULT_ROLES),
        "roles of each new user, separated by commas; the others are granted by `ece roles grant`",
    )
    admin_second_factor: Literal["auto", "required", "off"] = setting(
        "auto",
        "whether what moderators and admins do needs a fresh second factor: `required`, `off`, or `auto` (required "
        "unless the gateways listen on loopback and `ECE_PUBLIC_URL` names no other host)",
    )
    signing_key_rotation_s: int = setting(
        30 * 86_400, "age at which the key that signs access tokens is followed by a new one", "seconds",
        ge=3_600, le=366 * 86_400,
    )  # fmt: skip
    bcrypt_cost: int = setting(12, "work to hash a password; each step doubles it", "log2 of rounds", ge=4, le=16)


def public_url_of(text: str) -> str:
    """An origin: scheme, host and perhaps a port."""
    found = urlsplit(text)
    if found.scheme not in ("http", "https") or not found.hostname or text != f"{found.scheme}://{found.netloc}":
        raise ValueError("should be https://host or http://host, perhaps with a port, and no path")
    if "@" in found.netloc or text != text.lower():
        raise ValueError("should be in small letters and have no user")
    return text


def providers_of(text: str) -> Mapping[str, Provider]:
    """By name. The message never shows a secret."""
    try:
        found = msgspec.json.decode(text, type=dict[str, Provider])
    except msgspec.MsgspecError:
        raise ValueError('should be {"name": {"issuer": "…", "client_id": "…", "client_secret": "…"}}') from None
    if len(found) > PROVIDERS_MAX:
        raise ValueError(f"should have {PROVIDERS_MAX} providers at most")
    for name, provider in found.items():
        if _NAME.fullmatch(name) is None:
            raise ValueError("the names should be of small letters, digits and dashes")
        if not provider.issuer.startswith("https://") and not is_loopback(provider.issuer):
            raise ValueError(f"the issuer of {name} should start with https://")
    return found


def redirects_of(text: str) -> frozenset[str]:
    """The pages, each a whole address."""
    pages = [page.strip() for page in text.split(",") if page.strip()]
    if len(pages) > REDIRECTS_MAX:
        raise ValueError(f"should be {REDIRECTS_MAX} pages at most")
    for page in pages:
        if not page.startswith("https://") and not (page.startswith("http://") and is_loopback(page)):
            raise ValueError(f"{page} should start with https://")
        if "?" in page or "#" in page:
            raise ValueError(f"{page} should have neither ? nor #")
    return frozenset(pages)
