"""The key that identifies this engine to push services (VAPID, RFC 8292): P-256, derived from a shared secret."""

import base64

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# Sixteen bytes more than the order has, so that no key is likelier than another.
_LENGTH = 48


def is_point(raw: bytes) -> bool:
    """Whether these bytes are a public key of P-256."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    except ValueError:
        return False
    return True


class VapidKey:
    """The same in all gateways and workers that have the secret. Subscriptions are bound to it."""

    def __init__(self, secret: str) -> None:
        derived = HKDF(hashes.SHA256(), _LENGTH, salt=None, info=b"ece vapid v1").derive(secret.encode())
        self.private = ec.derive_private_key(int.from_bytes(derived) % (_ORDER - 1) + 1, ec.SECP256R1())

    @property
    def public(self) -> str:
        """The public key, uncompressed, in base64url without padding: what `PushManager.subscribe` takes."""
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return base64.urlsafe_b64encode(point).decode().rstrip("=")
