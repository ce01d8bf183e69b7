"""Passkeys (WebAuthn Level 3): options for browsers, and the verification of what authenticators answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import webauthn
from webauthn.helpers import base64url_to_bytes, options_to_json_dict
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

SITE_NAME = "ECE"
TIMEOUT_MS = 300_000
ALGORITHMS = [COSEAlgorithmIdentifier.EDDSA, COSEAlgorithmIdentifier.ECDSA_SHA_256]
CLIENT_DATA_LENGTH_MAX = 8_192


class InvalidPasskey(ValueError):
    """The answer of an authenticator is not right. What it says is for clients."""


class Registered(msgspec.Struct, frozen=True):
    """A credential that an authenticator has made. ``public_key`` is COSE."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backed_up: bool


class Signed(msgspec.Struct, frozen=True):
    """What an authenticator has said while it signed."""

    sign_count: int
    backed_up: bool


def registration_options(host: str, user: int, name: str, challenge: bytes, known: Sequence[bytes]) -> dict[str, Any]:
    """For `navigator.credentials.create`. ``known`` credentials are not made a second time."""
    options = webauthn.generate_registration_options(
        rp_id=host,
        rp_name=SITE_NAME,
        user_name=name,
        user_id=user_handle(user),
        challenge=challenge,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
        supported_pub_key_algs=ALGORITHMS,
    )
    return options_to_json_dict(options)


def authentication_options(host: str, challenge: bytes) -> dict[str, Any]:
    """For `navigator.credentials.get`: any passkey of this site."""
    options = webauthn.generate_authentication_options(
        rp_id=host, challenge=challenge, timeout=TIMEOUT_MS, user_verification=UserVerificationRequirement.REQUIRED
    )
    return options_to_json_dict(options)


def challenge_in(credential: Mapping[str, Any]) -> str:
    """The challenge that an answer says it is for, in base64url; nothing of it is verified. Raises InvalidPasskey."""
    try:
        data = msgspec.json.decode(_decoded(credential["response"]["clientDataJSON"]), type=dict[str, Any])
        challenge = data["challenge"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise InvalidPasskey("the client data can't be read") from None
    if not isinstance(challenge, str):
        raise InvalidPasskey("the client data have no challenge")
    return challenge


def registered(credential: dict[str, Any], challenge: bytes, host: str, origin: str) -> Registered:
    """The new credential. Raises InvalidPasskey."""
    try:
        found = webauthn.verify_registration_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=host, expected_origin=origin,
            require_user_verification=True, supported_pub_key_algs=ALGORITHMS,
        )  # fmt: skip
    except WebAuthnException:
        raise InvalidPasskey("the answer of the authenticator is not right") from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise InvalidPasskey("the answer of the authenticator can't be read") from None
    return Registered(found.credential_id, found.credential_public_key, found.sign_count, found.credential_backed_up)


def signed(
    credential: dict[str, Any], challenge: bytes, host: str, origin: str, public_key: bytes, sign_count: int
) -> Signed:
    """What the credential with this key has signed. Raises InvalidPasskey, also for a count that went back."""
    try:
        found = webauthn.verify_authentication_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=host, expected_origin=origin,
            credential_public_key=public_key, credential_current_sign_count=sign_count,
            require_user_verification=True,
        )  # fmt: skip
    except WebAuthnException:
        raise InvalidPasskey("the answer of the authenticator is not right") from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise InvalidPasskey("the answer of the authenticator can't be read") from None
    return Signed(found.new_sign_count, found.credential_backed_up)


def decoded(text: str) -> bytes:
    """The bytes of base64url. Raises InvalidPasskey."""
    try:
        return _decoded(text)
    except (TypeError, ValueError):
        raise InvalidPasskey("this is not base64url") from None


def user_handle(user: int) -> bytes:
    """What authenticators store of a user: no name, no address."""
    return user.to_bytes(8, "big")


def _decoded(text: str) -> bytes:
    if len(text) > CLIENT_DATA_LENGTH_MAX:
        raise ValueError("too long")
    return base64url_to_bytes(text)
