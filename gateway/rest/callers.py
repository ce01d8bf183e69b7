"""Who sends a request, and under which key."""

import re
from typing import Annotated

from fastapi import Depends, Header
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.ids import InvalidId, parse_id
from gateway.identity.tokens import Identity
from gateway.problems import Problem
from gateway.services import ServicesDep

OPERATOR = "operator"
# As for the keys of bids on the WebSocket (gateway/frames.py).
KEY_LENGTH_MAX = 64

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="An access token from `auth/login`")
_key = re.compile(rf"[\x21-\x7e]{{1,{KEY_LENGTH_MAX}}}")

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def _perhaps(services: ServicesDep, credentials: Credentials) -> Identity | None:
    if credentials is None:
        return None
    return services.tokens.verify(credentials.credentials, services.now_ms() // 1000)


async def _surely(caller: "Annotated[Identity | None, Depends(_perhaps)]") -> Identity:
    if caller is None:
        raise Problem("unauthenticated", "this needs an access token: Authorization: Bearer …")
    return caller


async def _operator(caller: "Annotated[Identity, Depends(_surely)]") -> Identity:
    if OPERATOR not in caller.roles:
        raise Problem("forbidden", "this is for operators")
    return caller


async def _idempotency_key(
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description=f"Made by the client, 1 to {KEY_LENGTH_MAX} visible ASCII characters; the same for a retry",
        ),
    ] = None,
) -> str:
    if idempotency_key is None:
        raise Problem("idempotency_key_missing", "this needs the header Idempotency-Key")
    if not _key.fullmatch(idempotency_key):
        raise Problem(
            "invalid_request", f"Idempotency-Key has 1 to {KEY_LENGTH_MAX} visible ASCII characters", status=400
        )
    return idempotency_key


async def _auction_id(auction_id: str) -> int:
    try:
        return parse_id(auction_id)
    except InvalidId:
        # No auction has such an id.
        raise Problem("not_found", "there is no such auction") from None


Visitor = Annotated[Identity | None, Depends(_perhaps)]
"""Anyone; a token that is sent has to be good."""
Caller = Annotated[Identity, Depends(_surely)]
Operator = Annotated[Identity, Depends(_operator)]
IdempotencyKey = Annotated[str, Depends(_idempotency_key)]
AuctionId = Annotated[int, Depends(_auction_id)]
