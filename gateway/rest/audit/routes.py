"""The audit trail: who did what from where. For operators."""

import json
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from domain.audit import Entry
from domain.ids import ID_PATTERN, id_text, parse_id
from gateway.rest.answers import answered
from gateway.rest.auctions.bodies import TIME_MAX_MS
from gateway.rest.callers import Auditor
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from gateway.rest.text import LINE
from persistence.audit.trail import PAGE_MAX, Filter

PAGE_DEFAULT = 50

router = api_router("admin")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Time = Annotated[int | None, Query(ge=0, le=TIME_MAX_MS, description="Milliseconds since the epoch")]


class AuditItem(BaseModel):
    """An act. ``actor`` is a username, or who used the command line; ``address`` and ``request_id`` those of REST."""

    id: str
    at: int
    action: str = Field(examples=["login.failed"])
    actor_id: str | None
    actor: str | None
    subject: str
    address: str | None
    request_id: str | None
    details: dict[str, str | int | None]


class AuditPage(BaseModel):
    """The newest first."""

    items: list[AuditItem]
    next_cursor: str | None


class AuditState(BaseModel):
    """Of the last periodic check: when, and what is wrong with the trail (nothing: it is as it was written)."""

    at: int | None
    findings: list[str]


@router.get("/admin/audit/check", response_model=AuditState, summary="The last check of the audit trail")
async def check(services: ServicesDep, _operator: Auditor) -> Response:
    """Workers check the hash chain of the trail again and again; null before the first check. For operators."""
    last = await services.audit.last_check()
    return answered({"at": last and last.at, "findings": list(last.findings) if last else []})


@router.get("/admin/audit", response_model=AuditPage, summary="The audit trail")
async def entries(
    services: ServicesDep,
    _operator: Auditor,
    action: Annotated[str | None, Query(max_length=64, description="Only this action"), LINE] = None,
    actor: Annotated[str | None, Query(pattern=ID_PATTERN, description="Only acts of the user with this id")] = None,
    subject: Annotated[str | None, Query(max_length=200, description="Only acts on this subject"), LINE] = None,
    since: Time = None,
    until: Time = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """Who did what from where, the newest first; `ece audit verify` checks it. For operators."""
    name = f"audit {action} {actor} {subject} {since} {until}"
    actor_id = None if actor is None else parse_id(actor)
    wanted = Filter(action, actor_id, subject, since, until, number_in(name, cursor))
    rows = await services.audit.page(wanted, limit + 1)
    following = encode_cursor(name, rows[limit - 1].entry_id) if rows[limit:] else None
    return answered({"items": [_item(row) for row in rows[:limit]], "next_cursor": following})


def _item(entry: Entry) -> dict[str, Any]:
    return {
        "id": id_text(entry.entry_id),
        "at": entry.at,
        "action": entry.action,
        "actor_id": None if entry.actor_id is None else id_text(entry.actor_id),
        "actor": entry.actor,
        "subject": entry.subject,
        "address": entry.address,
        "request_id": entry.request_id,
        "details": json.loads(entry.details),
    }
