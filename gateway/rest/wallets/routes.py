"""One's wallets: the custodial one, and outside wallets that are linked by a signed message."""

import base64
import binascii
import secrets
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import Path
from solders.pubkey import Pubkey
from solders.signature import Signature
from starlette.responses import Response

from chain.programs.addresses import TOKEN, token_account_of
from chain.wallets.addresses import InvalidAddress, parse_address, wallet_address
from chain.wallets.sign_in import NotSigned, signed_message
from domain.errors import CHALLENGE_EXPIRED, INVALID_ADDRESS, NOT_FOUND, SIGNATURE_INVALID
from domain.wallets.sign_in import VERSION, SignIn, difference, message_of, parse
from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.callers import Caller, FreshSecondFactor, IdempotencyKey, Reader
from gateway.rest.idempotency import InvalidRequest, Posted, idempotent
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from gateway.rest.wallets.bodies import (
    ChallengeItem,
    LinkItem,
    NewChallenge,
    NewLink,
    WalletList,
    challenge_json,
    link_json,
)
from persistence.postgres.idempotency import Begun
from persistence.wallets.links import Challenge, LinkedWallet, LinkRefusal

CHALLENGE_MS = 600_000
# A day after its user has looked at it, a wallet is looked at often.
WATCHED_MS = 86_400_000
NONCE_BYTES = 16
# The names of the Wallet Standard.
_INPUT_NAMES = {"chain_id": "chainId", "issued_at": "issuedAt", "expiration_time": "expirationTime"}

router = api_router("wallets")
encode = msgspec.json.encode

LinkedAddress = Annotated[str, Path(min_length=32, max_length=44)]


@router.get("/wallets", response_model=WalletList, summary="One's wallets")
async def wallets(services: ServicesDep, caller: Reader) -> Response:
    """The custodial wallet, made at the first look, and those that are linked. Deposits are looked for more often."""
    own = services.wallets
    address = await own.custody.custodial_address(caller.user_id)
    await own.deposits.watch(caller.user_id, services.now_ms() + WATCHED_MS)
    links = await own.links.of(caller.user_id)
    mint = None if own.usdc_mint is None else Pubkey.from_string(own.usdc_mint)
    account = None if mint is None else str(token_account_of(address, mint, TOKEN))
    uri = f"solana:{address}" + (f"?spl-token={mint}" if mint is not None else "")
    custodial = {"address": str(address), "token_account": account, "deposit_uri": uri}
    return answered({"custodial": custodial, "links": [link_json(link) for link in links]})


@router.post("/wallets/challenges", status_code=201, response_model=ChallengeItem, summary="Ask for a text to sign")
async def challenge(services: ServicesDep, caller: Caller, key: IdempotencyKey, body: NewChallenge) -> Response:
    """The wallet of this address signs it; that links the wallet. Good once, for ten minutes."""

    async def work(begun: Begun) -> tuple[int, bytes]:
        try:
            address = wallet_address(body.address)
        except InvalidAddress as fault:
            raise InvalidRequest(INVALID_ADDRESS, str(fault), reason=fault.reason.value) from None
        expires_at = begun.received_at + CHALLENGE_MS
        fields = SignIn(
            services.wallets.site.domain,
            str(address),
            f"Link this wallet to the account {caller.name}.",
            services.wallets.site.uri,
            VERSION,
            services.wallets.site.chain_id,
            secrets.token_hex(NONCE_BYTES),
            _time(begun.received_at),
            _time(expires_at),
        )
        assert fields.nonce is not None, "it was made"
        made = Challenge(fields.nonce, caller.user_id, fields.address, message_of(fields), expires_at)
        await services.wallets.links.issue(made)
        return 201, encode(challenge_json(made, _input(fields)))

    return await idempotent(services, Posted(caller, key, f"challenge {body.address}"), work)


@router.post("/wallets/links", status_code=201, response_model=LinkItem, summary="Link an outside wallet")
async def link(
    services: ServicesDep, caller: Caller, _fresh: FreshSecondFactor, key: IdempotencyKey, body: NewLink
) -> Response:
    """With a challenge that the wallet has signed. Linked already, nothing changes."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        return 201, encode(link_json(await _linked(services, caller.user_id, body)))

    return await idempotent(services, Posted(caller, key, f"link {body.model_dump_json()}"), work)


@router.delete("/wallets/links/{address}", status_code=204, summary="Unlink a wallet")
async def unlink(services: ServicesDep, caller: Caller, _fresh: FreshSecondFactor, address: LinkedAddress) -> Response:
    """It can be linked again, also to another account."""
    if not await services.wallets.links.unlink(caller.user_id, address):
        raise Problem(NOT_FOUND, "you have no such wallet")
    return Response(status_code=204)


async def _linked(services: Services, user: int, body: NewLink) -> LinkedWallet:
    try:
        address = parse_address(body.address)
        message = base64.b64decode(body.message, validate=True)
        signed = signed_message(address, message, bytes(Signature.from_string(body.signature)))
    except InvalidAddress as fault:
        raise Problem(INVALID_ADDRESS, str(fault), reason=fault.reason.value) from None
    except NotSigned as fault:
        raise Problem(SIGNATURE_INVALID, str(fault)) from None
    except (ValueError, binascii.Error):
        raise Problem(SIGNATURE_INVALID, "the message is not base64, or the signature not base58 of 64 bytes") from None
    links, nonce, now_ms = services.wallets.links, signed.nonce or "", services.now_ms()
    challenge = await links.challenge(nonce, user, now_ms)
    if challenge is None:
        # A retry whose first answer was lost finds it done.
        found = await links.linked_by(nonce, user, str(address))
        if found is None:
            raise Problem(CHALLENGE_EXPIRED)
        return found
    if str(address) != signed.address:
        raise Problem(SIGNATURE_INVALID, "the message is for another address")
    field = difference(parse(challenge.message), signed)
    if field is not None:
        raise Problem(SIGNATURE_INVALID, f"the message that was signed is not the challenge: {field} differs")
    linked = await links.link(challenge, now_ms)
    if isinstance(linked, LinkRefusal):
        raise Problem(linked.code)
    return linked


def _input(fields: SignIn) -> dict[str, str]:
    given = {name: getattr(fields, name) for name in SignIn.__struct_fields__}
    return {_INPUT_NAMES.get(name, name): value for name, value in given.items() if value}


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
