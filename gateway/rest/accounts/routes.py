"""Exports of one's data, and the deletion of one's account. Both need the password again."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from domain.errors import ACCOUNT_IN_USE, NOT_FOUND
from domain.ids import id_text
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.rest.answers import answered
from gateway.rest.callers import Caller, FreshSecondFactor, IdempotencyKey
from gateway.rest.idempotency import Posted, idempotent
from gateway.rest.identity.bodies import AnyPassword
from gateway.rest.proofs import ProofsDep
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from persistence.accounts.deletions import Due
from persistence.accounts.exports import Export
from persistence.postgres.idempotency import Begun

encode = msgspec.json.encode

router = api_router("users")


class Confirmation(BaseModel):
    """The password again: a stolen access token alone is not enough."""

    model_config = ConfigDict(strict=True, extra="forbid")
    password: AnyPassword


class ExportItem(BaseModel):
    """An export. ``failed``: it is too large; ask the operators. ``ready``: it can be downloaded until it expires."""

    id: str
    state: Literal["waiting", "ready", "failed"]
    requested_at: int
    finished_at: int | None
    expires_at: int | None
    size: Annotated[int | None, Field(description="Bytes of the ZIP")]


class DeletionItem(BaseModel):
    """The account is deleted soon after ``due_at``, unless its user logs in before."""

    requested_at: int
    due_at: int


class DeletionState(BaseModel):
    """``blockers``: what has to be settled before an account can be deleted."""

    due_at: Annotated[int | None, Field(description="null: nobody has asked for it")]
    blockers: list[Literal["funds", "copies", "auctions", "trades", "withdrawals", "swaps"]]


@dataclass(frozen=True)
class ConfirmedRequest:
    """A request whose caller has just given the password again."""

    caller: Identity
    key: str

    def posted(self, operation: str) -> Posted:
        """What makes it idempotent."""
        return Posted(self.caller, self.key, operation)


async def confirmed_request(
    proofs: ProofsDep, caller: Caller, _fresh: FreshSecondFactor, key: IdempotencyKey, body: Confirmation
) -> ConfirmedRequest:
    """Check the password."""
    await proofs.password(caller, body.password)
    return ConfirmedRequest(caller, key)


Confirmed = Annotated[ConfirmedRequest, Depends(confirmed_request)]


@router.post("/users/me/export", status_code=202, response_model=ExportItem, summary="Export one's data")
async def export(services: ServicesDep, confirmed: Confirmed) -> Response:
    """A background job makes a ZIP of everything about the user. It takes the place of an earlier one."""

    async def work(begun: Begun) -> tuple[int, bytes]:
        found = await services.profiles.exports.request(confirmed.caller.user_id, begun.created_id, begun.received_at)
        return 202, encode(_export_json(found))

    return await idempotent(services, confirmed.posted("export"), work)


@router.get("/users/me/export", response_model=ExportItem, summary="How far the export is")
async def export_state(services: ServicesDep, caller: Caller) -> Response:
    """The newest one. It is deleted 7 days after it was made."""
    found = await services.profiles.exports.of(caller.user_id)
    if found is None:
        raise Problem(NOT_FOUND, "there is no export")
    return answered(_export_json(found))


@router.get(
    "/users/me/export/{export_id}", response_class=Response, summary="Download it",
    responses={200: {"content": {"application/zip": {}}, "description": "A ZIP"}},
)  # fmt: skip
async def download(
    services: ServicesDep, caller: Caller, export_id: Annotated[str, Path(description="Of one's export")]
) -> Response:
    """For its user alone."""
    found = await services.profiles.exports.of(caller.user_id)
    if found is None or id_text(found.id) != export_id or found.state != "ready" or _expired(services, found):
        raise Problem(NOT_FOUND, "there is no such export")
    headers = {
        "Content-Length": str(found.size),
        "Content-Disposition": f'attachment; filename="export-{export_id}.zip"',
    }
    return StreamingResponse(services.profiles.exports.pages(found.id), 200, headers, media_type="application/zip")


@router.post(
    "/users/me/deletion", status_code=202, response_model=DeletionItem, summary="Have one's account deleted"
)  # fmt: skip
async def delete(services: ServicesDep, confirmed: Confirmed) -> Response:
    """Ends all log-ins. Refused while there is something to settle, which `blockers` names."""
    user_id = confirmed.caller.user_id

    async def work(begun: Begun) -> tuple[int, bytes]:
        blockers = await services.profiles.deletions.blockers(user_id)
        if blockers:
            raise Problem(ACCOUNT_IN_USE, blockers=blockers)
        grace_ms = 1000 * services.limits.deletion_grace_s
        due = await services.profiles.deletions.request(user_id, begun.received_at, grace_ms)
        return 202, encode(due)

    return await idempotent(services, confirmed.posted("deletion"), work)


@router.get("/users/me/deletion", response_model=DeletionState, summary="Will one's account be deleted?")
async def deletion_state(services: ServicesDep, caller: Caller) -> Response:
    """When, and what has to be settled before."""
    due = await services.profiles.deletions.due(caller.user_id)
    return answered(_state_json(due, await services.profiles.deletions.blockers(caller.user_id)))


@router.delete("/users/me/deletion", status_code=204, summary="Keep one's account")
async def keep(services: ServicesDep, caller: Caller) -> Response:
    """Nothing happens where nobody has asked for its deletion."""
    await services.profiles.deletions.cancel(caller.user_id)
    return Response(status_code=204)


def _expired(services: Services, export: Export) -> bool:
    return export.expires_at is not None and export.expires_at <= services.now_ms()


def _export_json(export: Export) -> dict[str, Any]:
    return {
        "id": id_text(export.id), "state": export.state, "requested_at": export.requested_at,
        "finished_at": export.finished_at, "expires_at": export.expires_at, "size": export.size,
    }  # fmt: skip


def _state_json(due: Due | None, blockers: list[str]) -> dict[str, Any]:
    return {"due_at": None if due is None else due.due_at, "blockers": blockers}
