"""Passkeys: registering, logging in, listing, renaming, deleting."""

import secrets
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import NOT_FOUND, PASSKEY_INVALID
from domain.ids import id_text
from gateway.http.problems import Problem
from gateway.identity.passkeys import (
    InvalidPasskey,
    authentication_options,
    challenge_in,
    decoded,
    registered,
    registration_options,
    signed,
    user_handle,
)
from gateway.rest.callers import PUBLIC, Caller, FreshProof
from gateway.rest.identity.log_ins import Tokens, log_in
from gateway.rest.proofs import Proof, ProofsDep
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from gateway.rest.text import LINE
from gateway.rest.ways_in.attempts import WayAttempts
from gateway.rest.ways_in.identities import known_id
from persistence.audit.trail import Act
from persistence.identity.challenges import Challenge, ChallengeExpired
from persistence.identity.passkeys import NewPasskey, Passkey

REGISTER, LOG_IN = "passkey_register", "passkey_log_in"
CHALLENGE_MS = 300_000
CHALLENGE_BYTES = 32
TEXT_LENGTH_MAX = 16_384

Encoded = Annotated[str, Field(min_length=1, max_length=TEXT_LENGTH_MAX)]
Name = Annotated[str, Field(min_length=1, max_length=60, examples=["my telephone"]), LINE]


class AuthenticatorAnswer(BaseModel):
    """Of `PublicKeyCredential.toJSON()`, in base64url; what browsers add is not read."""

    model_config = ConfigDict(extra="ignore")

    clientDataJSON: Encoded
    attestationObject: Encoded | None = None
    authenticatorData: Encoded | None = None
    signature: Encoded | None = None
    userHandle: Annotated[str, Field(max_length=200)] | None = None


class Credential(BaseModel):
    """`PublicKeyCredential.toJSON()`."""

    model_config = ConfigDict(extra="ignore")

    id: Annotated[str, Field(min_length=1, max_length=1_400)]
    rawId: Annotated[str, Field(min_length=1, max_length=1_400)]
    type: str = "public-key"
    response: AuthenticatorAnswer


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class NewCredential(_Body):
    """What `navigator.credentials.create` returned, and a name for the list."""

    credential: Credential
    name: Name = "passkey"


class Assertion(_Body):
    """What `navigator.credentials.get` returned."""

    credential: Credential


class Rename(_Body):
    """The new name."""

    name: Name


class Options(BaseModel):
    """For `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`."""

    publicKey: dict[str, Any]


class PasskeyItem(BaseModel):
    """``backed_up``: the user's devices share it."""

    id: str
    name: str
    backed_up: bool
    created_at: int
    used_at: int | None


class PasskeyList(BaseModel):
    """The oldest first; nobody has more than 20."""

    items: list[PasskeyItem]


class PasskeyRoutes:
    """The routes of one app, with its counts of attempts."""

    def __init__(self, services: Services) -> None:
        self._attempts = WayAttempts(services)
        self.router = api_router("identity")
        add, path = self.router.add_api_route, "/auth/passkeys"
        add(path, self.passkeys, methods=["GET"], summary="One's passkeys")
        add(f"{path}/register/options", self.register_options, methods=["POST"], summary="Begin to add a passkey")
        add(f"{path}/register/verify", self.register, methods=["POST"], status_code=201, summary="Add a passkey")
        add(
            f"{path}/login/options",
            self.log_in_options,
            methods=["POST"],
            dependencies=[PUBLIC],
            summary="Begin to log in by a passkey",
        )
        add(f"{path}/login/verify", self.log_in, methods=["POST"], dependencies=[PUBLIC], summary="Log in by a passkey")
        add(f"{path}/{{passkey}}", self.rename, methods=["PATCH"], summary="Rename a passkey")
        add(f"{path}/{{passkey}}", self.remove, methods=["DELETE"], status_code=204, summary="Delete a passkey")

    async def passkeys(self, services: ServicesDep, caller: Caller) -> PasskeyList:
        """By which one can log in."""
        found = await services.ways_in.passkeys.of(caller.user_id)
        return PasskeyList(items=[_item(one) for one in found])

    async def register_options(self, services: ServicesDep, proofs: ProofsDep, caller: Caller, body: Proof) -> Options:
        """Good once, for five minutes."""
        await proofs.ask(caller, body)
        known = [one.credential_id for one in await services.ways_in.passkeys.of(caller.user_id)]
        challenge = await _challenge(services, REGISTER, caller.user_id)
        host = services.ways_in.site.relying_party
        return Options(publicKey=registration_options(host, caller.user_id, caller.name, challenge, known))

    async def register(self, services: ServicesDep, caller: Caller, body: NewCredential) -> PasskeyItem:
        """The authenticator has to have verified its user: by a fingerprint, a PIN, …"""
        credential, site = body.credential.model_dump(exclude_none=True), services.ways_in.site
        challenge = await _taken(services, credential, REGISTER, caller.user_id)
        try:
            made = registered(credential, challenge, site.relying_party, site.public_url)
        except InvalidPasskey as fault:
            raise Problem(PASSKEY_INVALID, str(fault)) from None
        new = NewPasskey(made.credential_id, made.public_key, made.sign_count, body.name, made.backed_up)
        return _item(await services.ways_in.passkeys.add(caller.user_id, new, services.now_ms()))

    async def log_in_options(self, request: Request, services: ServicesDep) -> Options:
        """The same for everybody: the authenticator knows whose passkeys it has. Good once, for five minutes."""
        await self._attempts.of_address(request, services.now_ms())
        challenge = await _challenge(services, LOG_IN, None)
        return Options(publicKey=authentication_options(services.ways_in.site.relying_party, challenge))

    async def log_in(self, request: Request, services: ServicesDep, body: Assertion) -> Tokens:
        """A passkey is two factors: something that one has, and what unlocks it. No code is asked for."""
        await self._attempts.of_address(request, services.now_ms())
        credential = body.credential.model_dump(exclude_none=True)
        challenge = await _taken(services, credential, LOG_IN, None)
        try:
            known = await _verified(services, body.credential, credential, challenge)
        except InvalidPasskey as fault:
            raise Problem(PASSKEY_INVALID, str(fault)) from None
        user = await services.users.by_id(known.user)
        if user is None:
            raise Problem(PASSKEY_INVALID)
        return await log_in(services, user)

    async def rename(self, services: ServicesDep, caller: Caller, passkey: str, body: Rename) -> PasskeyItem:
        """So that one knows which it is."""
        renamed = await services.ways_in.passkeys.rename(caller.user_id, known_id(passkey), body.name)
        if renamed is None:
            raise Problem(NOT_FOUND, "you have no such passkey")
        return _item(renamed)

    async def remove(self, services: ServicesDep, caller: Caller, _fresh: FreshProof, passkey: str) -> None:
        """The last way to log in stays."""
        if not await services.ways_in.passkeys.remove(caller.user_id, known_id(passkey)):
            raise Problem(NOT_FOUND, "you have no such passkey")


async def _challenge(services: Services, purpose: str, user: int | None) -> bytes:
    challenge, now_ms = secrets.token_bytes(CHALLENGE_BYTES), services.now_ms()
    made = Challenge(purpose, user, b"", now_ms + CHALLENGE_MS)
    await services.ways_in.challenges.issue(challenge.hex(), made, now_ms)
    return challenge


async def _taken(services: Services, credential: dict[str, Any], purpose: str, user: int | None) -> bytes:
    """The challenge that an answer is for, used up whether the answer is right or not. Raises ChallengeExpired."""
    try:
        challenge = decoded(challenge_in(credential))
    except InvalidPasskey as fault:
        raise Problem(PASSKEY_INVALID, str(fault)) from None
    found = await services.ways_in.challenges.take(challenge.hex(), purpose, services.now_ms())
    if found.user != user:
        raise ChallengeExpired
    return challenge


async def _verified(services: Services, body: Credential, credential: dict[str, Any], challenge: bytes) -> Passkey:
    passkeys, site = services.ways_in.passkeys, services.ways_in.site
    known = await passkeys.by_credential(decoded(body.rawId))
    if known is None:
        raise InvalidPasskey("no account has this passkey")
    if body.response.userHandle is not None and decoded(body.response.userHandle) != user_handle(known.user):
        raise InvalidPasskey("this passkey is another account's")
    try:
        assertion = signed(
            credential, challenge, site.relying_party, site.public_url, known.public_key, known.sign_count
        )
    except InvalidPasskey:
        await services.audit.record(Act("login.failed", known.user, subject=id_text(known.passkey_id)))
        raise
    if not await passkeys.used(known.passkey_id, assertion.sign_count, assertion.backed_up, services.now_ms()):
        await services.audit.record(Act("passkey.copied", known.user, subject=id_text(known.passkey_id)))
        raise InvalidPasskey("the passkey was used elsewhere meanwhile")
    return known


def _item(one: Passkey) -> PasskeyItem:
    return PasskeyItem(
        id=id_text(one.passkey_id), name=one.name, backed_up=one.backed_up, created_at=one.created_at,
        used_at=one.used_at,
    )  # fmt: skip
