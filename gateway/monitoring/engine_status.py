"""The state of the engine for its operators: parts, hosts, sessions, background jobs, work on the chain."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

import msgspec
import structlog
from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from actors.hosting.load_report import load_report_of
from gateway.monitoring.health import Readiness
from gateway.rest.answers import answered
from gateway.rest.callers import JobManager
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from persistence.chain.status import ActorReport, ChainWork
from persistence.placement.directory import HostAddress
from persistence.postgres.errors import StoreError

READ_WITHIN_S = 2.0

router = api_router("admin")
log = structlog.get_logger(__name__)

Read = TypeVar("Read")


class PartState(BaseModel):
    """`status` is `ok`, `timeout`, `read_only` or `failed`; ``ms`` how long an `ok` took."""

    status: str
    ms: float | None = None


class HostState(BaseModel):
    """A host and its last load report. Rates are per second; ``alive_at`` is its last heartbeat."""

    id: str
    node: str
    alive_at: int
    slots: int
    dedicated: Annotated[int, Field(description="Entities that it alone owns")]
    entities: int
    orders_rate: float
    commit_ms: float
    inbox: int
    inbox_max: int
    rss_bytes: int


class JobKindState(BaseModel):
    """Background jobs of one kind."""

    kind: str
    waiting: int
    running: int
    dead: int
    oldest_due_ms: int


class EndpointState(BaseModel):
    """An RPC server as a minting actor sees it; ``lag``: slots behind the best one."""

    state: str
    lag: int | None


class ActorState(BaseModel):
    """A minting actor. ``balance``: lamports of its fee payer; ``note``: what keeps it from working."""

    name: str
    fee_payer: str
    balance: int | None
    in_flight: int
    jobs_per_s: float
    note: str | None
    reported_ms_ago: int
    endpoints: list[EndpointState]


class ChainState(BaseModel):
    """Work on the chain: jobs by state, and the minting actors that have reported within a minute."""

    queued: int
    signed: int
    poisoned: int
    open_transactions: int
    oldest_queued_ms: int
    actors: list[ActorState]


class EngineStatus(BaseModel):
    """What can't be read in time is null. ``chain`` is null where the engine has none, too: see ``has_chain``."""

    at: int
    parts: dict[str, PartState]
    hosts: list[HostState] | None
    sessions: Annotated[int | None, Field(description="Log-ins of all users that have not ended, 100,000 at most")]
    jobs: list[JobKindState] | None
    has_chain: bool
    chain: ChainState | None


@router.get("/admin/status", response_model=EngineStatus, summary="The state of the engine")
async def status(request: Request, services: ServicesDep, _operator: JobManager) -> Response:
    """Asks everything at once, each part with a deadline. For operators."""
    readiness: Readiness = request.app.state.readiness
    now_ms, has_chain = services.now_ms(), services.minting.chain
    parts, hosts, sessions, jobs, chain = await asyncio.gather(
        readiness.states(),
        _in_time(services.directory.hosts()),
        _in_time(services.sessions.count(now_ms)),
        _in_time(services.jobs.status()),
        _in_time(services.minting.status.work()),
    )
    return answered(
        {
            "at": now_ms, "parts": parts, "hosts": hosts and [_host_json(host) for host in hosts],
            "sessions": sessions, "jobs": jobs, "has_chain": has_chain,
            "chain": _chain_json(chain) if chain and has_chain else None,
        }
    )  # fmt: skip


async def _in_time(reading: Awaitable[Read]) -> Read | None:
    """None: the database did not answer in time. An operator sees the rest then."""
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return await reading
    except (StoreError, TimeoutError) as error:
        log.warning("status_incomplete", error=str(error))
        return None


def _host_json(host: HostAddress) -> dict[str, Any]:
    load = load_report_of(host.load_report)
    return {
        "id": host.host_id, "node": host.node, "alive_at": host.alive_at, "slots": len(host.slots),
        "dedicated": len(host.entities), "entities": load.entities, "orders_rate": load.orders_rate,
        "commit_ms": load.commit_ms, "inbox": load.inbox, "inbox_max": load.inbox_max, "rss_bytes": load.rss_bytes,
    }  # fmt: skip


def _chain_json(work: ChainWork) -> dict[str, Any]:
    states = {
        state: sum(counts.get(state, 0) for counts in work.jobs.values()) for state in ("queued", "signed", "poisoned")
    }
    return states | {
        "open_transactions": work.open_transactions,
        "oldest_queued_ms": work.oldest_queued_ms,
        "actors": [_actor_json(actor, age_ms) for actor, age_ms in work.actors],
    }


def _actor_json(actor: ActorReport, age_ms: int) -> dict[str, Any]:
    return {
        "name": actor.name, "fee_payer": actor.fee_payer, "balance": actor.balance, "in_flight": actor.in_flight,
        "jobs_per_s": actor.jobs_per_s, "note": actor.note, "reported_ms_ago": age_ms,
        "endpoints": msgspec.to_builtins(actor.endpoints),
    }  # fmt: skip
