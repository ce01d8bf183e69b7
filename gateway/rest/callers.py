"""The caller of a request, and its idempotency key."""

from typing import Annotated, Literal

from fastapi import Depends, Header
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.ids import InvalidId, parse_id
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.rest.services import ServicesDep

OPERATOR: Literal["operator"] = "operator"
# Users that replays and benches act as, and sellers whom operators trust to list much.
QUOTA_EXEMPT = "quota_exempt"
# As for the keys of bids on the WebSocket (gateway/wire/frames.py).
KEY_LENGTH_MAX = 64

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="An access token from `auth/login`")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def visitor(services: ServicesDep, credentials: Credentials) -> Identity | None:
    """The identity of the token, None without one."""
    if credentials is None:
        return None
    return services.tokens.verify(credentials.credentials, services.now_ms() // 1000)


async def known_caller(caller: "Annotated[Identity | None, Depends(visitor)]") -> Identity:
    """The identity of the token. Raises the problem ``unauthenticated``."""
    if caller is None:
        raise Problem("unauthenticated", "this needs an access token: Authorization: Bearer …")
    return caller


async def _operator(caller: "Annotated[Identity, Depends(known_caller)]") -> Identity:
    if OPERATOR not in caller.roles:
        raise Problem("forbidden", "this is for operators")
    return caller


async def _auction_id(auction_id: str) -> int:
    try:
        return parse_id(auction_id)
    except InvalidId:
        # The text is no id.
        raise Problem("not_found", "there is no such auction") from None


Visitor = Annotated[Identity | None, Depends(visitor)]
"""Anyone; a token that is sent has to be good."""
Caller = Annotated[Identity, Depends(known_caller)]
Operator = Annotated[Identity, Depends(_operator)]
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=KEY_LENGTH_MAX,
        pattern=r"^[\x21-\x7e]+$",
        description="Made by the client, of visible ASCII characters; the same for a retry",
    ),
]
AuctionId = Annotated[int, Depends(_auction_id)]
