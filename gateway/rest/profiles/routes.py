"""Profiles, preferences, follows and mutes."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from domain.errors import INVALID_REQUEST, NOT_FOUND, USERNAME_TAKEN
from domain.users import skeleton
from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.callers import Editor, Reader, Visitor
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.profiles.bodies import (
    FollowPage,
    FoundUsers,
    NotificationChange,
    NotificationPreferencesBody,
    PreferencesBody,
    PreferencesChange,
    ProfileBody,
    ProfileChange,
    follow_json,
    found_json,
    profile_json,
)
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import user_named
from gateway.rest.services import Services, ServicesDep
from persistence.profiles.follows import PAGE_MAX, Follow

PAGE_DEFAULT = 50
FOUND_DEFAULT, FOUND_MAX = 8, 20

router = api_router("profiles")

Username = Annotated[str, Path(description="A username")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
NamePart = Annotated[
    str, Query(min_length=2, max_length=30, pattern="^[A-Za-z0-9_-]+$", description="How the name begins")
]


@router.patch("/users/me/profile", response_model=ProfileBody, summary="Change one's profile")
async def change_profile(services: ServicesDep, caller: Editor, body: ProfileChange) -> Response:
    """A display name may not look like the username of somebody else, nor like a name of the house."""
    store, changed = services.profiles.profiles, body.model_dump(include=body.model_fields_set)
    name, avatar = changed.get("display_name"), changed.get("avatar")
    if name and await store.is_like_another(caller.user_id, skeleton("".join(name.split()))):
        raise Problem(USERNAME_TAKEN, "this is the name of another user, or looks like it")
    if avatar and not await store.is_image(avatar):
        raise Problem(INVALID_REQUEST, "an avatar is the id of an image that was uploaded")
    await store.change(caller.user_id, changed)
    return answered(profile_json(await store.get(caller.user_id, own=True)))


@router.get("/users/me/preferences", response_model=PreferencesBody, summary="One's preferences")
async def preferences(services: ServicesDep, caller: Reader) -> Response:
    """What was set, or the defaults."""
    return answered(await services.profiles.profiles.preferences(caller.user_id))


@router.patch("/users/me/preferences", response_model=PreferencesBody, summary="Change one's preferences")
async def prefer(services: ServicesDep, caller: Editor, body: PreferencesChange) -> Response:
    """What is missing stays as it is."""
    await services.profiles.profiles.prefer(caller.user_id, body.model_dump(include=body.model_fields_set))
    return answered(await services.profiles.profiles.preferences(caller.user_id))


@router.get(
    "/users/me/notification-preferences", response_model=NotificationPreferencesBody, summary="What notifies one"
)
async def notification_preferences(services: ServicesDep, caller: Reader) -> Response:
    """Every kind, with its channels."""
    return answered({"kinds": await services.profiles.notifications.of(caller.user_id)})


@router.patch(
    "/users/me/notification-preferences", response_model=NotificationPreferencesBody, summary="Change what notifies one"
)
async def notify_by(services: ServicesDep, caller: Editor, body: NotificationChange) -> Response:
    """Of the notifications from now on. What is missing stays as it is."""
    for kind, wanted in body.kinds.items():
        await services.profiles.notifications.put(caller.user_id, kind, wanted.in_app, wanted.email, wanted.push)
    return answered({"kinds": await services.profiles.notifications.of(caller.user_id)})


@router.get("/users/me/following", response_model=FollowPage, summary="Whom one follows")
async def following(
    services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """The newest first."""
    return await _page(services.profiles.follows.following, "following", caller.user_id, limit, cursor)


@router.get("/users/me/followers", response_model=FollowPage, summary="Who follows one")
async def followers(
    services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """The newest first."""
    return await _page(services.profiles.follows.followers, "followers", caller.user_id, limit, cursor)


@router.put("/users/me/following/{username}", status_code=204, summary="Follow a user")
async def follow(services: ServicesDep, caller: Editor, username: Username) -> Response:
    """What they list notifies you. Not possible where one of you has blocked the other; a block ends it."""
    other = await _other(services, caller.user_id, username)
    await services.profiles.follows.follow(caller.user_id, other, services.now_ms())
    return Response(status_code=204)


@router.delete("/users/me/following/{username}", status_code=204, summary="Unfollow a user")
async def unfollow(services: ServicesDep, caller: Editor, username: Username) -> Response:
    """Nothing happens where they are not followed."""
    await services.profiles.follows.unfollow(caller.user_id, await user_named(services, username))
    return Response(status_code=204)


@router.get("/users/me/mutes", response_model=FollowPage, summary="Whom one has muted")
async def mutes(services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None) -> Response:
    """In the order of their registration."""
    return await _page(services.profiles.follows.muted, "mutes", caller.user_id, limit, cursor)


@router.put("/users/me/mutes/{username}", status_code=204, summary="Mute a user")
async def mute(services: ServicesDep, caller: Editor, username: Username) -> Response:
    """What they list does not notify you any more."""
    other = await _other(services, caller.user_id, username)
    await services.profiles.follows.mute(caller.user_id, other, services.now_ms())
    return Response(status_code=204)


@router.delete("/users/me/mutes/{username}", status_code=204, summary="Unmute a user")
async def unmute(services: ServicesDep, caller: Editor, username: Username) -> Response:
    """Nothing happens where they are not muted."""
    await services.profiles.follows.unmute(caller.user_id, await user_named(services, username))
    return Response(status_code=204)


@router.get("/users", response_model=FoundUsers, summary="Search users")
async def find_users(
    services: ServicesDep, caller: Reader, q: NamePart, limit: Annotated[int, Query(ge=1, le=FOUND_MAX)] = FOUND_DEFAULT
) -> Response:
    """By the beginning of their usernames, in any case. The caller is not among them."""
    found = await services.profiles.profiles.find(q, caller.user_id, limit)
    return answered({"items": [found_json(one) for one in found]})


@router.get("/users/{username}", response_model=ProfileBody, summary="A user")
async def get_user(services: ServicesDep, visitor: Visitor, username: Username) -> Response:
    """The public profile, with the id, which offers name users by."""
    user = None if "@" in username else await services.users.by_login(username)
    if user is None:
        raise Problem(NOT_FOUND, "there is no such user")
    own = visitor is not None and visitor.user_id == user.user_id
    return answered(profile_json(await services.profiles.profiles.get(user.user_id, own)))


async def _other(services: Services, user: int, username: str) -> int:
    other = await user_named(services, username)
    if other == user:
        raise Problem(INVALID_REQUEST, "this is yourself")
    return other


async def _page(
    read: Callable[[int, int | None, int], Awaitable[list[Follow]]],
    name: str,
    user: int,
    limit: int,
    cursor: str | None,
) -> Response:
    name = f"{name} {user}"
    rows = await read(user, number_in(name, cursor), limit + 1)
    next_cursor = encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None
    return answered({"items": [follow_json(row) for row in rows[:limit]], "next_cursor": next_cursor})
