"""Encryption of keys and other secrets at rest: AES-256-GCM.

The master keys. They encrypt data keys, which encrypt all else (envelope.py).

A secret text gives the key of the cipher (HKDF-SHA-256, RFC 5869) and its id, which is stored beside each value. There
may be several secrets, the newest first: the first one encrypts, all decrypt. So a key is rotated by encrypting all
values again.
"""

import os
from collections.abc import Callable, Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_LENGTH_MIN = 32
NONCE_BYTES = 12
KEY_BYTES = 32
KEY_ID_BYTES = 8


class CannotDecrypt(Exception):
    """No known key decrypts this value, or it was changed, or it belongs to something else."""


class Sealed(msgspec.Struct, frozen=True):
    """An encrypted value: nonce, ciphertext and tag. ``key_id`` names the key."""

    key_id: str
    sealed: bytes

    def __repr__(self) -> str:
        return f"Sealed(key_id={self.key_id})"


class KeyCipher:
    """Encrypts and decrypts. ``context`` (associated data) says whose value it is: it decrypts with the same only."""

    def __init__(self, secrets: Callable[[], Sequence[str]]) -> None:
        """``secrets`` gives them, the newest first; it is called for each encryption, and when a key is unknown."""
        self._secrets = secrets
        self._keys: dict[str, AESGCM] = {}
        self._newest = ""
        self._load()

    @property
    def key_id(self) -> str:
        """The key that encrypts."""
        return self._newest

    def seal(self, value: bytes, context: bytes) -> Sealed:
        """Encrypt with the newest key, also if it was added after this process began."""
        self._load()
        nonce = os.urandom(NONCE_BYTES)
        return Sealed(self._newest, nonce + self._keys[self._newest].encrypt(nonce, value, context))

    def open(self, key_id: str, sealed: bytes, context: bytes) -> bytes:
        """Decrypt. Raises CannotDecrypt."""
        if key_id not in self._keys:
            self._load()
        key = self._keys.get(key_id)
        if key is None:
            raise CannotDecrypt(f"no secret has the key {key_id}: add the secret that was used before")
        return decrypted(key, sealed, context)

    def _load(self) -> None:
        keys: dict[str, AESGCM] = {}
        for secret in self._secrets():
            if len(secret) < SECRET_LENGTH_MIN:
                raise ValueError(f"a master secret has at least {SECRET_LENGTH_MIN} characters")
            keys.setdefault(key_id_of(secret), AESGCM(_derived(secret, b"ece wallets: key", KEY_BYTES)))
        if not keys:
            raise ValueError("a master secret is needed")
        self._newest = next(iter(keys))
        self._keys = keys

    def __repr__(self) -> str:
        return f"KeyCipher(key_id={self._newest})"


def decrypted(key: AESGCM, sealed: bytes, context: bytes) -> bytes:
    """The value that this key has encrypted: nonce, ciphertext and tag. Raises CannotDecrypt."""
    try:
        return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise CannotDecrypt("the value was changed, or belongs to something else") from None


def key_id_of(secret: str) -> str:
    """The id of the key that this secret gives; it says nothing about the key."""
    return _derived(secret, b"ece wallets: key id", KEY_ID_BYTES).hex()


def _derived(secret: str, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=purpose).derive(secret.encode())
