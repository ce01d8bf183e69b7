"""Idempotency keys: a POST that is sent again has the same answer, and its effect once."""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from starlette.responses import Response

from gateway.http.problems import MEDIA_TYPE, Problem
from gateway.identity.tokens import Identity
from gateway.rest.answers import JSON
from gateway.rest.services import Services
from persistence.postgres.errors import StoreError, TextNotStorable
from persistence.postgres.idempotency import Answered, Begun

REPLAYED = "Idempotency-Replayed"
log = structlog.get_logger(__name__)


class InvalidRequest(Problem):
    """The request is invalid in any state of the engine: its key can be used for another one."""


@dataclass(frozen=True)
class Posted:
    """A POST with its key. Two with the same ``request`` are the same."""

    caller: Identity
    key: str
    request: str


async def idempotent(
    services: Services, posted: Posted, work: Callable[[Begun], Awaitable[tuple[int, bytes]]]
) -> Response:
    """Do the work and store its answer, or return the stored answer.

    Answers that don't say what happened (5xx, 429) are not stored: the same key does the same work again.
    """
    user, key, keys = posted.caller.user_id, posted.key, services.idempotency
    request_hash = hashlib.sha256(posted.request.encode()).digest()
    begun = await keys.begin(user, key, request_hash, services.now_ms())
    if isinstance(begun, Answered):
        return _answer(begun.status, begun.response, {REPLAYED: "true"})
    try:
        status, body = await work(begun)
    except (InvalidRequest, TextNotStorable):
        with suppress(StoreError):
            await keys.forget(user, key)
        raise
    except Problem as problem:
        if problem.status >= 500 or problem.status == 429:
            with suppress(StoreError):
                await keys.release(user, key)
            raise
        status, body = problem.status, problem.body()
    except Exception:
        with suppress(StoreError):
            await keys.release(user, key)
        raise
    try:
        await keys.finish(user, key, status, body)
    except StoreError as error:
        # The work is done; a retry repeats the same command, which changes nothing.
        log.warning("answer_not_stored", error=str(error))
    return _answer(status, body, {})


def _answer(status: int, body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, status, headers, media_type=JSON if status < 400 else MEDIA_TYPE)
