"""The caller of a request, and its idempotency key."""

from typing import Annotated

import structlog
from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.ids import InvalidId, parse_id
from domain.permissions import STAFF, Access, Needed, Permission
from gateway.http.problems import Problem
from gateway.identity.permissions import check
from gateway.identity.tokens import Identity
from gateway.rest.credentials import SAFE_METHODS, identity_of
from gateway.rest.proofs import Proof, ProofsDep
from gateway.rest.services import ServicesDep
from persistence.audit.trail import Act

# As for the keys of bids on the WebSocket (gateway/wire/frames.py).
KEY_LENGTH_MAX = 64

log = structlog.get_logger(__name__)

_bearer = HTTPBearer(
    auto_error=False, bearerFormat="JWT", description="An access token from `auth/login`, or an API key"
)
# Where the rate limits leave the identity of a request, so that its token is verified once.
IDENTITY = "ece.identity"

FactorCode = Annotated[
    str | None,
    Header(
        alias="X-Second-Factor",
        min_length=6,
        max_length=32,
        pattern=r"^[\x21-\x7e]+$",
        description="A code of one's second factor, or a recovery code; not needed within 5 minutes of the last one",
    ),
]
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def visitor(request: Request, services: ServicesDep, _credentials: Credentials) -> Identity | None:
    """The identity of the token or of the cookies, None without either."""
    known: Identity | None = request.scope.get(IDENTITY)
    if known is not None:
        return known
    return await identity_of(request, services)


class Needs:
    """What a route needs, as its dependency. Raises RequestFailed where the caller may not call it."""

    def __init__(self, needed: Needed) -> None:
        assert (needed in STAFF) == isinstance(self, StaffNeeds), "operators need more"
        self.needed = needed

    async def __call__(self, caller: "Annotated[Identity | None, Depends(visitor)]") -> Identity:
        check(caller, self.needed)
        assert caller is not None, "the check refuses callers without an identity"
        return caller


class StaffNeeds(Needs):
    """Of operators: what changes something for others needs a fresh second factor, where the setting demands one.

    It is in the audit trail before it is done; then its own entry may follow. What they read is in the log.
    """

    async def __call__(  # type: ignore[override]
        self,
        request: Request,
        services: ServicesDep,
        proofs: ProofsDep,
        caller: "Annotated[Identity | None, Depends(visitor)]",
        code: FactorCode = None,
    ) -> Identity:
        caller = await super().__call__(caller)
        name = request.scope["route"].name
        parameters = {its: str(value) for its, value in request.path_params.items()}
        if request.method in SAFE_METHODS:
            log.info("operator_read", user=caller.name, route=name, parameters=parameters)
        else:
            await proofs.operator(caller, code)
            action = f"operator.{name}"
            subject = next(iter(parameters.values()), "")
            await services.audit.record(Act(action, caller.user_id, caller.name, subject, {**parameters}))
        return caller


async def anyone() -> None:
    """For a route that does not look at the caller."""


async def _second_factor(
    proofs: ProofsDep, caller: "Annotated[Identity | None, Depends(visitor)]", code: FactorCode = None
) -> None:
    if caller is not None:
        await proofs.second_factor(caller, code)


async def _proof(
    proofs: ProofsDep, caller: "Annotated[Identity | None, Depends(visitor)]", code: FactorCode = None
) -> None:
    if caller is not None:
        await proofs.ask(caller, Proof.model_construct(code=code))


async def _auction_id(auction_id: str) -> int:
    try:
        return parse_id(auction_id)
    except InvalidId:
        # The text is no id.
        raise Problem("not_found", "there is no such auction") from None


Visitor = Annotated[Identity | None, Depends(visitor)]
"""Anyone; a token that is sent has to be good."""
PUBLIC = Depends(anyone)
"""In the ``dependencies`` of a route that does not look at the caller: a route has to say what it needs."""
Caller = Annotated[Identity, Depends(Needs(Access.SIGNED_IN))]
"""A user who has logged in, also one who is suspended. Never an API key."""
Reader = Annotated[Identity, Depends(Needs(Permission.READ))]
Editor = Annotated[Identity, Depends(Needs(Permission.WRITE))]
Bidder = Annotated[Identity, Depends(Needs(Permission.BID))]
Lister = Annotated[Identity, Depends(Needs(Permission.LIST))]
Trader = Annotated[Identity, Depends(Needs(Permission.TRADE))]
Disputant = Annotated[Identity, Depends(Needs(Permission.DISPUTE))]
Giver = Annotated[Identity, Depends(Needs(Permission.GIVE))]
Depositor = Annotated[Identity, Depends(Needs(Permission.DEPOSIT))]
Withdrawer = Annotated[Identity, Depends(Needs(Permission.WITHDRAW))]
Minter = Annotated[Identity, Depends(Needs(Permission.MINT))]
Moderator = Annotated[Identity, Depends(StaffNeeds(Permission.MODERATE))]
Auditor = Annotated[Identity, Depends(StaffNeeds(Permission.AUDIT))]
CatalogEditor = Annotated[Identity, Depends(StaffNeeds(Permission.CATALOG))]
SalesManager = Annotated[Identity, Depends(StaffNeeds(Permission.SALES))]
FeeManager = Annotated[Identity, Depends(StaffNeeds(Permission.FEES))]
PayoutManager = Annotated[Identity, Depends(StaffNeeds(Permission.PAYOUTS))]
JobManager = Annotated[Identity, Depends(StaffNeeds(Permission.JOBS))]
RoleManager = Annotated[Identity, Depends(StaffNeeds(Permission.ROLES))]
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
FreshSecondFactor = Annotated[None, Depends(_second_factor)]
"""For sensitive actions, after the caller: who has a second factor shows it, or did so within five minutes."""
FreshProof = Annotated[None, Depends(_proof)]
"""For ways to log in, after the caller: the same; who has none has given the password within five minutes."""
AuctionId = Annotated[int, Depends(_auction_id)]
