"""Sign-In With Solana: a wallet logs in by its signature over a text that names this site."""

import base64
import binascii
import secrets
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from chain import base58
from chain.wallets.addresses import InvalidAddress, parse_address
from chain.wallets.sign_in import NotSigned, signed_message
from domain.errors import INVALID_ADDRESS, SIGNATURE_INVALID
from domain.wallets.sign_in import MESSAGE_BYTES_MAX, VERSION, SignIn, difference
from gateway.http.problems import Problem
from gateway.rest.callers import PUBLIC, Caller, Visitor
from gateway.rest.identity.bodies import Code, Username
from gateway.rest.identity.log_in_factor import log_in_with_factor
from gateway.rest.identity.log_ins import Tokens
from gateway.rest.proofs import Proof, ProofsDep
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from gateway.rest.ways_in.accounts import user_of
from gateway.rest.ways_in.attempts import WayAttempts, failures_recorded
from persistence.identity.challenges import Challenge, ChallengeExpired
from persistence.identity.identities import Claim, Spent

PURPOSE = "solana"
CHALLENGE_MS = 600_000
NONCE_BYTES = 16
MESSAGE_CHARACTERS_MAX = -(-MESSAGE_BYTES_MAX // 3) * 4


class SignInChallenge(BaseModel):
    """The input of the wallet's `signIn`; the wallet adds its address. Good once, until ``expirationTime``."""

    domain: str
    statement: str
    uri: str
    version: str
    chainId: str | None = None
    nonce: str
    issuedAt: str
    expirationTime: str


class Signed(BaseModel):
    """``message``: the bytes that the wallet returned, in base64; ``signature`` over exactly these, in base58."""

    model_config = ConfigDict(strict=True, extra="forbid")

    address: Annotated[str, Field(min_length=32, max_length=44)]
    message: Annotated[str, Field(min_length=1, max_length=MESSAGE_CHARACTERS_MAX)]
    signature: Annotated[str, Field(min_length=64, max_length=88)]


class SolanaLogIn(Signed):
    """``username`` is the name of a new account; without it one is made up. ``code``: of the second factor."""

    username: Username | None = None
    code: Code | None = None


class SolanaLink(Signed, Proof):
    """The signed text, and who one is."""


class SolanaRoutes:
    """The routes of one app, with its counts of attempts."""

    def __init__(self, services: Services) -> None:
        self._attempts = WayAttempts(services)
        self.router = api_router("identity")
        add, path = self.router.add_api_route, "/auth/siws"
        add(f"{path}/challenge", self.challenge, methods=["POST"], summary="Ask for a text that a wallet signs")
        add(path, self.log_in, methods=["POST"], dependencies=[PUBLIC], summary="Log in with a Solana wallet")
        add(f"{path}/link", self.link, methods=["POST"], status_code=204, summary="Link a wallet as a way to log in")

    async def challenge(self, request: Request, services: ServicesDep, caller: Visitor) -> SignInChallenge:
        """With a token it is a text that links the wallet to one's account; without, one that logs in."""
        now_ms, site = services.now_ms(), services.ways_in.site
        await self._attempts.of_address(request, now_ms)
        wanted = "Log in." if caller is None else f"Let this wallet log in to the account {caller.name}."
        fields = SignIn(
            site.domain, "", wanted, site.public_url, VERSION, site.chain_id, secrets.token_hex(NONCE_BYTES),
            _time(now_ms), _time(now_ms + CHALLENGE_MS),
        )  # fmt: skip
        assert fields.nonce is not None, "it was made"
        user = None if caller is None else caller.user_id
        made = Challenge(PURPOSE, user, msgspec.json.encode(fields), now_ms + CHALLENGE_MS)
        await services.ways_in.challenges.issue(fields.nonce, made, now_ms)
        return SignInChallenge(
            domain=fields.domain, statement=wanted, uri=site.public_url, version=VERSION, chainId=fields.chain_id,
            nonce=fields.nonce, issuedAt=fields.issued_at or "", expirationTime=fields.expiration_time or "",
        )  # fmt: skip

    async def log_in(self, request: Request, services: ServicesDep, body: SolanaLogIn) -> Tokens:
        """The first log-in of a wallet makes an account without a password."""
        await self._attempts.of_address(request, services.now_ms())
        async with failures_recorded(services, "solana"):
            claim, spent = await _proved(services, body, None)
        user = await user_of(services, claim, body.username, spent)
        return await log_in_with_factor(services, user, body.code)

    async def link(self, services: ServicesDep, proofs: ProofsDep, caller: Caller, body: SolanaLink) -> None:
        """With a text that was asked for with this user's token."""
        await proofs.ask(caller, body)
        claim, spent = await _proved(services, body, caller.user_id)
        await services.ways_in.identities.link(caller.user_id, claim, services.now_ms(), spent)


async def _proved(services: Services, body: Signed, user: int | None) -> tuple[Claim, Spent]:
    """What the signature proves, and the challenge that has to be used up with it."""
    signed = _signed(body)
    nonce = signed.nonce or ""
    challenge = await services.ways_in.challenges.look_up(nonce, PURPOSE, services.now_ms())
    if challenge.user != user:
        raise ChallengeExpired
    expected = msgspec.structs.replace(msgspec.json.decode(challenge.data, type=SignIn), address=body.address)
    field = difference(expected, signed)
    if field is not None:
        raise Problem(SIGNATURE_INVALID, f"the message that was signed is not the challenge: {field} differs")
    return Claim("solana", "solana", body.address, "solana"), Spent(nonce, PURPOSE)


def _signed(body: Signed) -> SignIn:
    try:
        address = parse_address(body.address)
        message = base64.b64decode(body.message, validate=True)
        return signed_message(address, message, base58.decode(body.signature))
    except InvalidAddress as fault:
        raise Problem(INVALID_ADDRESS, str(fault), reason=fault.reason.value) from None
    except NotSigned as fault:
        raise Problem(SIGNATURE_INVALID, str(fault)) from None
    except (ValueError, binascii.Error):
        raise Problem(SIGNATURE_INVALID, "the message is not base64, or the signature not base58 of 64 bytes") from None


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
