"""API keys: made of 256 random bits, stored as hashes, looked up at most once a second by each gateway."""

import hashlib
import ipaddress
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from domain.permissions import scopes_of
from gateway.identity.attempts import parsed_address
from gateway.identity.tokens import Identity, TokenInvalid
from gateway.identity.verification import UNVERIFIED
from persistence.identity.api_keys import KnownKey

PREFIX = "ece_"
SHOWN_LENGTH = 12
_FORM = re.compile(r"ece_[A-Za-z0-9_-]{43}", re.ASCII)
CACHED_MS = 1_000
CACHED_MAX = 10_000


class FindsKeys(Protocol):
    """``persistence.identity.api_keys.ApiKeys``. May raise StoreError."""

    async def find(self, key_hash: bytes, now_ms: int) -> KnownKey | None: ...


def new_key() -> str:
    """A key, which is shown once."""
    return PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> bytes:
    """What is stored of it."""
    return hashlib.sha256(key.encode()).digest()


def is_key(token: str) -> bool:
    """Whether this is an API key, good or not, and no access token."""
    return token.startswith(PREFIX)


class ApiKeyCheck:
    """Finds whose a key is. What was found is good for a second, or until ``forget``."""

    def __init__(self, store: FindsKeys, now_ms: Callable[[], int], *, verification_demanded: bool = False) -> None:
        """``verification_demanded``: as of access tokens, the key of a user without a verified address is limited."""
        self._verification_demanded = verification_demanded
        self._store = store
        self._now_ms = now_ms
        # Hash -> when it was read, and what was found.
        self._cached: OrderedDict[bytes, tuple[int, KnownKey | None]] = OrderedDict()
        self._generation = 0

    async def identity(self, key: str, address: str | None) -> Identity:
        """Who sent the key from this address. Raises TokenInvalid, StoreError."""
        if _FORM.fullmatch(key) is None:
            raise TokenInvalid("the API key is not one of ours")
        read_at, found = await self._found(key_hash(key))
        if found is None or found.expires_at <= self._now_ms():
            raise TokenInvalid("the API key is unknown, revoked or expired")
        if found.networks and not _within(address, found.networks):
            raise TokenInvalid("the API key may not be used from this address")
        roles = found.roles
        if self._verification_demanded and not found.verified:
            roles = (*roles, UNVERIFIED)
        return Identity(
            found.user, found.username, frozenset(roles), found.expires_at, f"key {found.id}", read_at,
            found.access_version, found.id, scopes_of(found.scopes),
        )  # fmt: skip

    def forget(self) -> None:
        """Look all keys up again: something has changed."""
        self._generation += 1
        self._cached.clear()

    async def _found(self, hashed: bytes) -> tuple[int, KnownKey | None]:
        now_ms = self._now_ms()
        cached = self._cached.get(hashed)
        if cached is not None and now_ms - cached[0] < CACHED_MS:
            return cached
        generation = self._generation
        read = (now_ms, await self._store.find(hashed, now_ms))
        # One that was read before a change is not kept.
        if generation == self._generation:
            self._cached[hashed] = read
            self._cached.move_to_end(hashed)
            while len(self._cached) > CACHED_MAX:
                self._cached.popitem(last=False)
        return read


def _within(address: str | None, networks: tuple[str, ...]) -> bool:
    try:
        parsed = parsed_address(address or "")
    except ValueError:
        return False
    return any(parsed in ipaddress.ip_network(network) for network in networks)
