"""A software authenticator (WebAuthn Level 3): what a browser and a security key do together."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_p256
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ORIGIN, HOST = "https://cards.example", "cards.example"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Passkey:
    """A credential, as the authenticator stores it."""

    key: EllipticCurvePrivateKey | Ed25519PrivateKey
    user_handle: bytes
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    count: int = 0

    def public_key(self) -> bytes:
        """COSE."""
        if isinstance(self.key, Ed25519PrivateKey):
            return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes_raw()})
        numbers = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(data)
        return self.key.sign(data, ECDSA(hashes.SHA256()))


@dataclass
class Told:
    """What an attacker, or a broken program, says otherwise."""

    origin: str = ORIGIN
    host: str = HOST
    flags: int = PRESENT | VERIFIED
    challenge: str | None = None
    kind: str | None = None


def new_passkey(options: dict[str, Any], algorithm: Literal["ES256", "EdDSA"] = "ES256") -> Passkey:
    """What `navigator.credentials.create` makes of these options."""
    assert {one["alg"] for one in options["pubKeyCredParams"]} == {-7, -8}
    key = Ed25519PrivateKey.generate() if algorithm == "EdDSA" else generate_p256(SECP256R1())
    return Passkey(key, decoded(options["user"]["id"]))


def created(passkey: Passkey, options: dict[str, Any], told: Told | None = None) -> dict[str, Any]:
    """The credential that `create` returns, as JSON."""
    told = told or Told()
    attested = bytes(16) + len(passkey.credential_id).to_bytes(2, "big") + passkey.credential_id + passkey.public_key()
    data = _authenticator_data(told, told.flags | ATTESTED, passkey.count) + attested
    return _credential(passkey) | {
        "response": {
            "clientDataJSON": encoded(_client_data(told, told.kind or "webauthn.create", options)),
            "attestationObject": encoded(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal"],
        }
    }


def asserted(passkey: Passkey, options: dict[str, Any], told: Told | None = None, step: int = 1) -> dict[str, Any]:
    """The credential that `navigator.credentials.get` returns, as JSON. ``step``: how far the count goes."""
    told = told or Told()
    passkey.count += step
    client_data = _client_data(told, told.kind or "webauthn.get", options)
    data = _authenticator_data(told, told.flags, passkey.count)
    return _credential(passkey) | {
        "response": {
            "clientDataJSON": encoded(client_data),
            "authenticatorData": encoded(data),
            "signature": encoded(passkey.sign(data + hashlib.sha256(client_data).digest())),
            "userHandle": encoded(passkey.user_handle),
        }
    }


def _credential(passkey: Passkey) -> dict[str, Any]:
    name = encoded(passkey.credential_id)
    return {
        "id": name, "rawId": name, "type": "public-key", "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
    }  # fmt: skip


def _client_data(told: Told, kind: str, options: dict[str, Any]) -> bytes:
    challenge = options["challenge"] if told.challenge is None else told.challenge
    return json.dumps({"type": kind, "challenge": challenge, "origin": told.origin, "crossOrigin": False}).encode()


def _authenticator_data(told: Told, flags: int, count: int) -> bytes:
    return hashlib.sha256(told.host.encode()).digest() + bytes([flags]) + count.to_bytes(4, "big")
