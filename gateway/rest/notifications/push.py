"""Web Push: the key that browsers subscribe with, and the subscriptions of a user."""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from domain.errors import FORBIDDEN, INVALID_REQUEST, NOT_FOUND, UNAUTHENTICATED
from domain.ids import InvalidId, id_text, parse_id
from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.callers import PUBLIC, Editor, Reader
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from persistence.push.endpoints import ENDPOINT_LENGTH_MAX, is_push_endpoint
from persistence.push.subscriptions import KnownSubscription, Subscription
from persistence.push.vapid import is_point

AUTH_SIZE = 16
_PATH = "/users/me/push-subscriptions"

router = api_router("notifications")


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise ValueError("this is not base64url") from None


def _is_point(text: str) -> str:
    if not is_point(_decoded(text)):
        raise ValueError("this is not a point of P-256")
    return text


def _is_auth(text: str) -> str:
    if len(_decoded(text)) != AUTH_SIZE:
        raise ValueError(f"these are not {AUTH_SIZE} bytes")
    return text


_Base64 = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_-]+={0,2}$")]


class SubscriptionKeys(BaseModel):
    """As `PushSubscription.toJSON()` has them, in base64url."""

    model_config = ConfigDict(strict=True, extra="forbid")

    p256dh: Annotated[_Base64, AfterValidator(_is_point)]
    auth: Annotated[_Base64, AfterValidator(_is_auth)]


class NewSubscription(BaseModel):
    """What the browser's `PushManager.subscribe` resolves to."""

    model_config = ConfigDict(strict=True, extra="forbid")

    endpoint: Annotated[str, Field(min_length=1, max_length=ENDPOINT_LENGTH_MAX)]
    keys: SubscriptionKeys
    expiration_time: Annotated[int | None, Field(alias="expirationTime", description="Not used")] = None


class PushKey(BaseModel):
    """``public_key`` is the `applicationServerKey`, in base64url."""

    public_key: str


class SubscriptionItem(BaseModel):
    """A browser that gets messages. ``endpoint`` tells it which one is its own; ``current``: of this session."""

    id: str
    device: str
    endpoint: str
    created_at: int
    current: bool


class SubscriptionList(BaseModel):
    """One's subscriptions, the newest first; ``next_cursor`` is always null."""

    items: list[SubscriptionItem]
    next_cursor: str | None


@router.get("/push/key", dependencies=[PUBLIC], response_model=PushKey, summary="The key of push messages")
async def push_key(services: ServicesDep) -> Response:
    """Subscribe with this key; a subscription made with another one gets nothing."""
    return answered({"public_key": services.watching.push.key})


@router.get(_PATH, response_model=SubscriptionList, summary="The browsers that get push messages")
async def push_subscriptions(services: ServicesDep, caller: Reader) -> Response:
    """A subscription goes with its session."""
    rows = await services.watching.push.subscriptions.of(caller.user_id)
    return answered({"items": [_item(row, caller.session) for row in rows], "next_cursor": None})


@router.put(_PATH, response_model=SubscriptionItem, summary="Push messages to this browser")
async def subscribe(services: ServicesDep, caller: Editor, body: NewSubscription) -> Response:
    """Which kinds are pushed, and when not, is in the preferences. The same endpoint again is no second one."""
    push = services.watching.push
    if caller.key is not None:
        raise Problem(FORBIDDEN, "an API key has no browser")
    if not is_push_endpoint(body.endpoint, push.origins):
        raise Problem(INVALID_REQUEST, "this is not an endpoint of a known push service")
    new = Subscription(body.endpoint, _decoded(body.keys.p256dh), _decoded(body.keys.auth))
    added = await push.subscriptions.add(caller.user_id, caller.session, new, services.now_ms())
    if added is None:
        raise Problem(UNAUTHENTICATED, "the session has ended")
    return answered(_item(added, caller.session))


@router.delete(_PATH + "/{subscription_id}", status_code=204, summary="No more push messages to a browser")
async def unsubscribe_browser(services: ServicesDep, caller: Editor, subscription_id: str) -> Response:
    """Nothing happens where there is no such one."""
    try:
        number = parse_id(subscription_id)
    except InvalidId:
        raise Problem(NOT_FOUND, "there is no such subscription") from None
    await services.watching.push.subscriptions.remove(caller.user_id, number)
    return Response(status_code=204)


def _item(row: KnownSubscription, session: str) -> dict[str, object]:
    return {
        "id": id_text(row.id), "device": row.device, "endpoint": row.endpoint, "created_at": row.created_at,
        "current": row.session == session,
    }  # fmt: skip
