"""Idempotency keys: a request that is sent again has the same answer, and its effect once.

REST and the WebSocket share them.
"""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from gateway.http.problems import Problem, failure_problem
from gateway.identity.tokens import Identity
from gateway.wire.faults import RequestFailed
from persistence.postgres.errors import StoreError, TextNotStorable
from persistence.postgres.idempotency import Answered, Begun, IdempotencyKeys

log = structlog.get_logger(__name__)


class InvalidRequest(Problem):
    """The request is invalid in any state of the engine: its key can be used for another one."""


@dataclass(frozen=True)
class Posted:
    """A request with its key. Two with the same ``request`` are the same."""

    caller: Identity
    key: str
    request: str


class Once(NamedTuple):
    """The answer of a request: its HTTP status and JSON. ``replayed``: it was stored before."""

    status: int
    body: bytes
    replayed: bool = False


async def once(
    keys: IdempotencyKeys, posted: Posted, now_ms: int, work: Callable[[Begun], Awaitable[tuple[int, bytes]]]
) -> Once:
    """Do the work and store its answer, or return the stored answer.

    Answers that don't say what happened (5xx, 429) are not stored: the same key does the same work again.
    """
    user, key = posted.caller.user_id, posted.key
    request_hash = hashlib.sha256(posted.request.encode()).digest()
    begun = await keys.begin(user, key, request_hash, now_ms)
    if isinstance(begun, Answered):
        return Once(begun.status, begun.response, True)
    try:
        status, body = await _answered(work, begun)
    except (InvalidRequest, TextNotStorable):
        with suppress(StoreError):
            await keys.forget(user, key)
        raise
    except Exception:
        with suppress(StoreError):
            await keys.release(user, key)
        raise
    try:
        await keys.finish(user, key, status, body)
    except StoreError as error:
        # The work is done; a retry repeats the same command, which changes nothing.
        log.warning("answer_not_stored", error=str(error))
    return Once(status, body)


async def _answered(work: Callable[[Begun], Awaitable[tuple[int, bytes]]], begun: Begun) -> tuple[int, bytes]:
    """The answer; a problem that says what happened is one."""
    try:
        return await work(begun)
    except InvalidRequest:
        raise
    except (Problem, RequestFailed) as error:
        problem = error if isinstance(error, Problem) else failure_problem(error)
        if problem.status >= 500 or problem.status == 429:
            raise
        return problem.status, problem.body()
