"""The keys that sign access tokens: Ed25519, shared by all gateways through PostgreSQL, rotated.

A new key is public for some time before it signs, so that every gateway and every client that caches the key set knows
it; an old one stays public until its last token has expired. The private halves are encrypted with the secret of the
wallets. A process that has another secret than the others can verify their tokens, and signs with a key of its own.
"""

import asyncio
import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from chain.wallets.cipher import CannotDecrypt, KeyCipher
from persistence.identity.signing_keys import StoredKey
from persistence.postgres.errors import StoreError

# How long a key is public before it signs; caches of the key set (JWKS_MAX_AGE_S) are younger than that.
PUBLISHED_AHEAD_MS = 600_000
JWKS_MAX_AGE_S = 300
REFRESH_EVERY_S = 5.0
# After a token with an unknown key, the keys are loaded at once, but not more often than this.
RELOAD_AFTER_S = 0.5
_CONTEXT = b"ece-signing-key-v1\0"

log = structlog.get_logger(__name__)


class KeyStore(Protocol):
    """``persistence.identity.signing_keys.SigningKeyStore``."""

    async def all(self) -> list[StoredKey]: ...
    async def rotate(self, new: StoredKey, own: Sequence[str], seen: Sequence[str]) -> bool: ...
    async def replace_all(self, new: StoredKey) -> None: ...


class SigningKey(msgspec.Struct, frozen=True):
    """A key; ``private`` is None if another process alone can sign with it. Times in milliseconds."""

    kid: str
    public: Ed25519PublicKey
    private: Ed25519PrivateKey | None
    created_at: int
    signs_from: int
    retired_at: int | None = None

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid})"


class KeySet:
    """The keys that a process knows now."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self.by_kid: Mapping[str, SigningKey] = {key.kid: key for key in keys}

    def get(self, kid: str) -> SigningKey | None:
        """The key of a token's header."""
        return self.by_kid.get(kid)

    def signer(self, now_ms: int) -> SigningKey | None:
        """The newest key that signs now and that this process can use; None if there is none."""
        own = [key for key in self.by_kid.values() if key.private is not None]
        begun = [key for key in own if key.signs_from <= now_ms]
        return max(begun or own, key=lambda key: key.signs_from, default=None)

    def newest(self) -> SigningKey | None:
        """The own key that signs last: the one whose age counts for rotation."""
        own = [key for key in self.by_kid.values() if key.private is not None]
        return max(own, key=lambda key: key.signs_from, default=None)

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set (RFC 7517, RFC 8037) of all public keys."""
        return {"keys": [_jwk(key) for key in self.by_kid.values()]}


class SigningKeys:
    """The keys of one process, loaded from the store. ``start`` follows the store until ``stop``."""

    def __init__(
        self, store: KeyStore, cipher: KeyCipher, now_ms: Callable[[], int], rotate_after_ms: int | None = None
    ) -> None:
        """``rotate_after_ms``: the age at which a key is followed by a new one; None: this process rotates none."""
        self._store = store
        self._cipher = cipher
        self._now_ms = now_ms
        self._rotate_after_ms = rotate_after_ms
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self.set = KeySet([])

    async def load(self) -> None:
        """Load the keys; make the first one, or the next one, if need be. Raises StoreUnavailable."""
        await self._reload()
        newest = self.set.newest()
        if newest is None:
            await self._rotate(self._now_ms())
        elif self._rotate_after_ms is not None and self._now_ms() - newest.created_at >= self._rotate_after_ms:
            await self.rotate()

    async def rotate(self) -> SigningKey | None:
        """Add a key that signs once everybody knows it; None if another process has just added one."""
        return await self._rotate(self._now_ms() + PUBLISHED_AHEAD_MS)

    async def replace(self) -> SigningKey:
        """A key that signs at once, instead of all others: their tokens are refused from then on."""
        now_ms = self._now_ms()
        new = new_key(self._cipher, now_ms, now_ms)
        await self._store.replace_all(new)
        await self._reload()
        return self.set.by_kid[new.kid]

    def look_again(self) -> None:
        """A token has a key that is not known here: perhaps it is a new one."""
        self._wanted.set()

    def start(self) -> None:
        """Follow the store."""
        self._task = asyncio.create_task(self._follow(), name="signing-keys")

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _rotate(self, signs_from: int) -> SigningKey | None:
        own = [key.kid for key in self.set.by_kid.values() if key.private is not None]
        new = new_key(self._cipher, self._now_ms(), signs_from)
        added = await self._store.rotate(new, own, list(self.set.by_kid))
        await self._reload()
        if added:
            log.info("signing_key_added", kid=new.kid, signs_from=signs_from)
        return self.set.get(new.kid) if added else None

    async def _reload(self) -> None:
        known = self.set.by_kid
        keys = [opened(stored, self._cipher, known.get(stored.kid)) for stored in await self._store.all()]
        if [key.kid for key in keys] != list(known) or keys != list(known.values()):
            self.set = KeySet(keys)

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REFRESH_EVERY_S):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            try:
                await self.load()
            except StoreError as error:
                log.warning("signing_keys_not_loaded", error=str(error))
            # Forged tokens with unknown keys cause no more loads than this.
            await asyncio.sleep(RELOAD_AFTER_S)


class OwnKey:
    """One new key, of this process alone: without a store."""

    def __init__(self) -> None:
        private = Ed25519PrivateKey.generate()
        self.set = KeySet([SigningKey(_new_kid(), private.public_key(), private, 0, 0)])

    def look_again(self) -> None:
        """There are no others."""


def new_key(cipher: KeyCipher, now_ms: int, signs_from: int) -> StoredKey:
    """A new key, encrypted."""
    private, kid = Ed25519PrivateKey.generate(), _new_kid()
    sealed = cipher.seal(private.private_bytes_raw(), signing_key_context(kid))
    return StoredKey(kid, private.public_key().public_bytes_raw(), sealed.key_id, sealed.sealed, now_ms, signs_from)


def opened(stored: StoredKey, cipher: KeyCipher, known: SigningKey | None = None) -> SigningKey:
    """The key, with its private half where this process has the secret."""
    private = known.private if known is not None else _private(stored, cipher)
    public = Ed25519PublicKey.from_public_bytes(stored.public_key) if known is None else known.public
    return SigningKey(stored.kid, public, private, stored.created_at, stored.signs_from, stored.retired_at)


def signing_key_context(kid: str) -> bytes:
    """Which key it is: it decrypts with the same only."""
    return _CONTEXT + kid.encode()


def _private(stored: StoredKey, cipher: KeyCipher) -> Ed25519PrivateKey | None:
    try:
        raw = cipher.open(stored.key_id, stored.sealed, signing_key_context(stored.kid))
    except CannotDecrypt as error:
        log.warning("signing_key_not_usable", kid=stored.kid, error=str(error))
        return None
    private = Ed25519PrivateKey.from_private_bytes(raw)
    # A row whose halves differ would sign tokens that nobody can verify.
    return private if private.public_key().public_bytes_raw() == stored.public_key else None


def _new_kid() -> str:
    return secrets.token_urlsafe(12)


def _jwk(key: SigningKey) -> dict[str, str]:
    point = base64.urlsafe_b64encode(key.public.public_bytes_raw()).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid, "x": point}
