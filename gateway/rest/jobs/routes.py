"""Background jobs: their state, dead jobs, and retries. For operators."""

from typing import Annotated

import msgspec
from fastapi import Query
from starlette.responses import Response

from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.auctions.bodies import Nothing
from gateway.rest.callers import IdempotencyKey, JobManager
from gateway.rest.cursors import Cursor, decode_cursor, encode_cursor
from gateway.rest.idempotency import Posted, idempotent
from gateway.rest.jobs.bodies import JobItem, JobPage, JobState, job_json
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from persistence.postgres.idempotency import Begun

PAGE_DEFAULT = 50
PAGE_MAX = 100
NAME_MAX = 128

router = api_router("admin")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Kind = Annotated[str | None, Query(max_length=NAME_MAX, description="Only jobs of this kind")]
State = Annotated[JobState | None, Query(description="Only jobs in this state")]


@router.get("/admin/jobs", response_model=JobPage, summary="Background jobs")
async def jobs(
    services: ServicesDep, _operator: JobManager, kind: Kind = None, state: State = None, limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:  # fmt: skip
    """Jobs that wait or run, and those whose retries have ended (`dead`). One that is done is gone. For operators."""
    listing = f"jobs {kind} {state}"
    after = ("", "") if cursor is None else decode_cursor(listing, cursor, tuple[str, str])
    found = await services.jobs.page(kind, state, after, limit + 1)
    last = found[limit - 1] if found[limit:] else None
    following = encode_cursor(listing, last.kind, last.key) if last else None
    return answered({"items": [job_json(job) for job in found[:limit]], "next_cursor": following})


@router.get("/admin/jobs/{kind}/{key}", response_model=JobItem, summary="A background job")
async def job(services: ServicesDep, _operator: JobManager, kind: str, key: str) -> Response:
    """With the error of its last attempt. For operators."""
    found = await services.jobs.get(kind, key)
    if found is None:
        raise Problem("not_found", "there is no such job, or it is done")
    return answered(job_json(found))


@router.post("/admin/jobs/{kind}/{key}/retry", summary="Retry a dead job")
async def retry(
    services: ServicesDep, operator: JobManager, idempotency_key: IdempotencyKey, kind: str, key: str,
    _body: Nothing = None,
) -> Response:  # fmt: skip
    """It runs within a second, with all its attempts. For operators."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        if not await services.jobs.retry(kind, key):
            raise Problem("not_found", "no such job is dead")
        return 200, msgspec.json.encode({"kind": kind, "key": key})

    return await idempotent(services, Posted(operator, idempotency_key, f"retry job {kind} {key}"), work)


@router.post("/admin/jobs/{kind}/{key}/discard", summary="Discard a dead job")
async def discard(
    services: ServicesDep, operator: JobManager, idempotency_key: IdempotencyKey, kind: str, key: str,
    _body: Nothing = None,
) -> Response:  # fmt: skip
    """It is deleted, and what it was to do is never done. For operators."""

    async def work(_begun: Begun) -> tuple[int, bytes]:
        if not await services.jobs.discard(kind, key):
            raise Problem("not_found", "no such job is dead")
        return 200, msgspec.json.encode({"kind": kind, "key": key})

    return await idempotent(services, Posted(operator, idempotency_key, f"discard job {kind} {key}"), work)
