"""Roles of users: granting and revoking, for admins; suspending and reinstating, for moderators."""

from typing import Annotated, Literal

import msgspec
from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from domain.errors import FORBIDDEN, INVALID_REQUEST, NOT_FOUND
from domain.ids import id_text
from domain.permissions import Permission, permissions_of
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.rest.answers import answered
from gateway.rest.auctions.bodies import Nothing
from gateway.rest.callers import FreshSecondFactor, IdempotencyKey, Moderator, RoleManager
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.idempotency import InvalidRequest, Posted, idempotent
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from gateway.rest.text import LINE
from persistence.identity.roles import Standing, Suspension
from persistence.postgres.idempotency import Begun

REASON_LENGTH_MAX = 500
TIME_MAX_MS = 2**53 - 1
PAGE_DEFAULT = 50
PAGE_MAX = 100

router = api_router("admin")
encode = msgspec.json.encode

Username = Annotated[str, Path(min_length=1, max_length=64)]
# domain.permissions.GRANTABLE; a test compares.
Role = Literal["collector", "seller", "minter", "moderator", "admin", "quota_exempt"]


class SuspensionBody(BaseModel):
    """Why, and until when (milliseconds); without ``until``, until the user is reinstated. The user sees both."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=REASON_LENGTH_MAX), LINE]
    until: Annotated[int | None, Field(ge=0, le=TIME_MAX_MS)] = None


class SuspensionItem(BaseModel):
    """A suspension that counts now."""

    reason: str
    until: int | None


class StandingItem(BaseModel):
    """``roles`` were granted. While the user is suspended they permit nothing."""

    id: str
    username: str
    roles: list[str]
    suspension: SuspensionItem | None


class StandingPage(BaseModel):
    """Users who are suspended now."""

    items: list[StandingItem]
    next_cursor: str | None


@router.get("/admin/suspensions", response_model=StandingPage, summary="Suspended users")
async def suspensions(
    services: ServicesDep,
    _moderator: Moderator,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """Whose suspension counts now, in the order in which they registered."""
    rows = await services.roles.suspended(number_in("suspensions", cursor) or 0, limit + 1)
    following = encode_cursor("suspensions", rows[limit - 1].user_id) if rows[limit:] else None
    return answered({"items": [_standing_json(row) for row in rows[:limit]], "next_cursor": following})


@router.get("/admin/users/{username}/roles", response_model=StandingItem, summary="What a user was granted")
async def roles(services: ServicesDep, _moderator: Moderator, username: Username) -> Response:
    """With the suspension, if there is one."""
    return answered(_standing_json(await _user(services, username)))


@router.put("/admin/users/{username}/roles/{role}", response_model=StandingItem, summary="Grant a role")
async def grant(
    services: ServicesDep, admin: RoleManager, _fresh: FreshSecondFactor, username: Username, role: Role
) -> Response:
    """Nobody changes their own. Tokens that the user has are not accepted any more: the next ones have the role."""
    user = await _another(services, admin, username)
    await services.roles.grant(user.user_id, role, admin.user_id)
    return answered(_standing_json(await _user(services, username)))


@router.delete("/admin/users/{username}/roles/{role}", response_model=StandingItem, summary="Revoke a role")
async def revoke(
    services: ServicesDep, admin: RoleManager, _fresh: FreshSecondFactor, username: Username, role: Role
) -> Response:
    """Nobody changes their own, and the last admin stays one. It counts within a second, also on open sockets."""
    user = await _another(services, admin, username)
    await services.roles.revoke(user.user_id, role, admin.user_id)
    return answered(_standing_json(await _user(services, username)))


@router.post("/admin/users/{username}/suspend", response_model=StandingItem, summary="Suspend a user")
async def suspend(
    services: ServicesDep, moderator: Moderator, key: IdempotencyKey, username: Username, body: SuspensionBody
) -> Response:
    """They may read, answer in disputes and withdraw, and nothing else. Their bids and auctions go on.

    Within a second, also on open sockets. Moderators and admins are suspended by admins only.
    """

    async def work(_begun: Begun) -> tuple[int, bytes]:
        user = await _another(services, moderator, username)
        staff = Permission.MODERATE in permissions_of(frozenset(user.granted))
        if staff and not moderator.may(Permission.ROLES):
            raise Problem(FORBIDDEN, "this is for admins: the user is a moderator or an admin")
        if body.until is not None and body.until <= services.now_ms():
            raise InvalidRequest(INVALID_REQUEST, "until has passed")
        await services.roles.suspend(Suspension(user.user_id, body.reason, body.until, moderator.user_id))
        return 200, encode(_standing_json(await _user(services, username)))

    request = f"suspend {username.lower()} {body.model_dump_json()}"
    return await idempotent(services, Posted(moderator, key, request), work)


@router.post("/admin/users/{username}/reinstate", response_model=StandingItem, summary="End a suspension")
async def reinstate(
    services: ServicesDep, moderator: Moderator, key: IdempotencyKey, username: Username, _body: Nothing = None
) -> Response:
    """Of a user who is not suspended, nothing changes. The user logs in or refreshes to have the roles again."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        user = await _another(services, moderator, username)
        await services.roles.reinstate(user.user_id, moderator.user_id)
        return 200, encode(_standing_json(await _user(services, username)))

    return await idempotent(services, Posted(moderator, key, f"reinstate {username.lower()}"), work)


async def _user(services: Services, username: str) -> Standing:
    found = await services.roles.of(username)
    if found is None:
        raise Problem(NOT_FOUND, "there is no such user")
    return found


async def _another(services: Services, caller: Identity, username: str) -> Standing:
    found = await _user(services, username)
    if found.user_id == caller.user_id:
        raise Problem(FORBIDDEN, "nobody changes what they may do themselves")
    return found


def _standing_json(standing: Standing) -> dict[str, object]:
    suspended = standing.reason is not None
    return {
        "id": id_text(standing.user_id), "username": standing.username, "roles": sorted(standing.granted),
        "suspension": {"reason": standing.reason, "until": standing.until} if suspended else None,
    }  # fmt: skip
