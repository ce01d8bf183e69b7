"""API keys: making, listing, revoking. A key itself can do none of it."""

import ipaddress
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from domain.errors import FORBIDDEN, NOT_FOUND
from domain.ids import InvalidId, id_text, parse_id
from domain.permissions import SCOPES, STAFF, Permission
from gateway.http.problems import Problem
from gateway.identity.api_keys import SHOWN_LENGTH, key_hash, new_key
from gateway.identity.tokens import Identity
from gateway.rest.answers import answered
from gateway.rest.callers import Caller, FreshSecondFactor
from gateway.rest.proofs import ProofsDep
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from gateway.rest.text import LINE
from persistence.identity.api_keys import ApiKey, NewKey

NAME_LENGTH_MAX = 60
NETWORKS_MAX = 10
EXPIRES_MIN_MS, EXPIRES_MAX_MS = 60_000, 366 * 86_400_000
EXPIRES_DEFAULT_MS = 90 * 86_400_000

router = api_router("identity")


def _scope(permission: Permission) -> Permission:
    if permission not in SCOPES:
        raise ValueError("no API key may do this")
    return permission


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text))


# Not strict: JSON has no enumerations.
Scope = Annotated[Permission, Field(strict=False), AfterValidator(_scope)]
Network = Annotated[str, Field(max_length=64, examples=["203.0.113.0/24"]), AfterValidator(_network)]


class NewApiKey(BaseModel):
    """``scopes`` are all that the key permits, of what its owner may do. ``networks``: from where; empty: anywhere."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX, examples=["my bot"]), LINE]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))]
    expires_in_ms: Annotated[int, Field(ge=EXPIRES_MIN_MS, le=EXPIRES_MAX_MS)] = EXPIRES_DEFAULT_MS
    networks: Annotated[list[Network], Field(max_length=NETWORKS_MAX)] = []


class ApiKeyItem(BaseModel):
    """``prefix`` is the beginning of the key; ``last_used_at`` is right to five minutes."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    networks: list[str]
    created_at: int
    expires_at: int
    last_used_at: int | None


class NewApiKeyItem(ApiKeyItem):
    """``key`` is shown once: the engine stores its hash only."""

    key: str


class ApiKeyList(BaseModel):
    """One's keys that are good, the newest first; ``next_cursor`` is always null."""

    items: list[ApiKeyItem]
    next_cursor: str | None


@router.post("/api-keys", status_code=201, response_model=NewApiKeyItem, summary="Make an API key")
async def create(
    services: ServicesDep, proofs: ProofsDep, caller: Caller, _fresh: FreshSecondFactor, body: NewApiKey
) -> Response:
    """For `Authorization: Bearer ece_…`, and as the token in `hello`.

    There is no `Idempotency-Key`, since no answer with a key is stored: revoke one whose answer was lost.
    """
    scopes = tuple(dict.fromkeys(body.scopes))
    missing = [scope for scope in scopes if not caller.may(scope)]
    if missing:
        raise Problem(FORBIDDEN, f"you may not do this yourself: {', '.join(missing)}")
    if not STAFF.isdisjoint(scopes):
        await proofs.operator(caller, None)
    key, now_ms = new_key(), services.now_ms()
    new = _new_key(caller, body, scopes, key, now_ms)
    made = await services.api_keys.add(new, now_ms)
    return answered(_key_json(made) | {"key": key}, 201)


@router.get("/api-keys", response_model=ApiKeyList, summary="One's API keys")
async def api_keys(services: ServicesDep, caller: Caller) -> Response:
    """Without those that were revoked or have expired."""
    rows = await services.api_keys.of(caller.user_id, services.now_ms())
    return answered({"items": [_key_json(row) for row in rows], "next_cursor": None})


@router.delete("/api-keys/{key_id}", status_code=204, summary="Revoke an API key")
async def revoke(
    services: ServicesDep, caller: Caller, key_id: Annotated[str, Path(min_length=1, max_length=32)]
) -> Response:
    """Within a second no gateway accepts it any more, and its sockets are closed with 4503."""
    try:
        number = parse_id(key_id)
    except InvalidId:
        number = None
    if number is None or not await services.api_keys.revoke(caller.user_id, number, services.now_ms()):
        raise Problem(NOT_FOUND, "you have no such API key")
    return Response(status_code=204)


def _new_key(caller: Identity, body: NewApiKey, scopes: tuple[Permission, ...], key: str, now_ms: int) -> NewKey:
    names = tuple(scope.value for scope in scopes)
    networks = tuple(dict.fromkeys(body.networks))
    expires_at = now_ms + body.expires_in_ms
    return NewKey(caller.user_id, body.name, key[:SHOWN_LENGTH], key_hash(key), names, networks, expires_at)


def _key_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": id_text(key.id), "name": key.name, "prefix": key.prefix, "scopes": list(key.scopes),
        "networks": list(key.networks), "created_at": key.created_at, "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
    }  # fmt: skip
