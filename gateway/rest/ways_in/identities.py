"""One's identities: listing and unlinking."""

from pydantic import BaseModel

from domain.errors import NOT_FOUND
from domain.ids import InvalidId, id_text, parse_id
from gateway.http.problems import Problem
from gateway.rest.callers import Caller, FreshProof
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from persistence.identity.identities import Identity

router = api_router("identity")


class IdentityItem(BaseModel):
    """``way`` is `oidc` or `solana`; ``subject`` the wallet's address, or the provider's id of the user."""

    id: str
    way: str
    provider: str
    subject: str
    email: str | None
    email_verified: bool
    linked_at: int
    used_at: int


class IdentityList(BaseModel):
    """The oldest first; nobody has more than 20."""

    items: list[IdentityItem]


@router.get("/auth/identities", summary="One's other ways to log in")
async def identities(services: ServicesDep, caller: Caller) -> IdentityList:
    """Accounts at providers, and wallets. Passkeys have a list of their own."""
    found = await services.ways_in.identities.of(caller.user_id)
    return IdentityList(items=[_item(one) for one in found])


@router.delete("/auth/identities/{identity}", status_code=204, summary="Unlink one")
async def unlink(services: ServicesDep, caller: Caller, _fresh: FreshProof, identity: str) -> None:
    """The last way to log in stays."""
    if not await services.ways_in.identities.unlink(caller.user_id, known_id(identity)):
        raise Problem(NOT_FOUND, "you have no such identity")


def known_id(text: str) -> int:
    """The id in a path. Raises the problem `not_found`."""
    try:
        return parse_id(text)
    except InvalidId:
        raise Problem(NOT_FOUND) from None


def _item(one: Identity) -> IdentityItem:
    claim = one.claim
    return IdentityItem(
        id=id_text(one.identity_id), way=claim.way, provider=claim.provider, subject=claim.subject, email=claim.email,
        email_verified=claim.email_verified, linked_at=one.linked_at, used_at=one.used_at,
    )  # fmt: skip
