"""Executes confirmed trades, reverses executed ones, ends those whose copies are gone, and records it in their logs.

A decision is in the database before the log has it, so each step may be done any number of times.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from actors.stream.messages import GetState, Refused, command
from actors.workers.custody.ownership import TRY_AGAIN
from actors.workers.job import Job, Later
from actors.workers.settle import AGAIN_MS, ANSWER_WITHIN_S, Hosts
from domain.ids import parse_id
from domain.trade.commands import Command, Execute, Fail, Invalidate, ReversalDone
from persistence.jobs.store import Claimed

# The kind of entity.
TRADE = "trade"
# Loaded in one run.
STALE_MAX = 200

_read_reason = msgspec.json.Decoder(str).decode


class NotRecorded(Exception):
    """A trade's log has refused the report of a worker: the database and the log disagree."""


class ExecutesTrades(Protocol):
    """``persistence.trades.executing.Executions``. May raise StoreError."""

    async def execute(self, ordered: Mapping[int, int], now_ms: int) -> Mapping[int, Execute | Fail | None]:
        """What was decided on these trades; None: another worker executes it. Those that are over are not in it."""


class ReversesTrades(Protocol):
    """``persistence.trades.reversing.Reversals``. May raise StoreError."""

    async def reverse(self, trade: int, ordered: int, now_ms: int) -> ReversalDone | None:
        """What was decided; None: it is over."""


class ExecuteTrades(Job):
    """``key``: the trade's id, and the place of the last confirmation in its log."""

    kind = "execute_trade"
    batch_max = 200
    gather_s = 0.05
    timeout_s = 120.0

    def __init__(self, executions: ExecutesTrades, hosts: Hosts, now_ms: Callable[[], int]) -> None:
        self._executions = executions
        self._hosts = hosts
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        ordered = {job: _place_of(job) for job in jobs}
        decided = await self._executions.execute(dict(ordered.values()), self._now_ms())
        orders = [(job, trade, decided[trade]) for job, (trade, _) in ordered.items() if trade in decided]
        again = [Later(job, AGAIN_MS) for job, _, order in orders if order is None]
        return again + await _record(self._hosts, [(job, trade, one) for job, trade, one in orders if one is not None])


class ReverseTrades(Job):
    """``key``: the trade's id, and the place in its log of the event that ordered it."""

    kind = "reverse_trade"
    batch_max = 20

    def __init__(self, reversals: ReversesTrades, hosts: Hosts, now_ms: Callable[[], int]) -> None:
        self._reversals = reversals
        self._hosts = hosts
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        orders: list[tuple[Claimed, int, Command]] = []
        for job in jobs:
            trade, ordered = _place_of(job)
            done = await self._reversals.reverse(trade, ordered, self._now_ms())
            if done is not None:
                orders.append((job, trade, done))
        return await _record(self._hosts, orders)


class InvalidateTrades(Job):
    """``key``: the ids of the trade and of its copy that is gone; ``payload``: why. A trigger on ``copies`` adds it."""

    kind = "invalidate_trade"
    batch_max = 100

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        orders: list[tuple[Claimed, int, Command]] = []
        for job in jobs:
            trade, _, copy = job.key.partition(":")
            orders.append((job, parse_id(trade), Invalidate(parse_id(copy), _read_reason(job.payload))))
        return await _record(self._hosts, orders)


class HeldTrades(Protocol):
    """``persistence.trades.held.StaleHolds``. May raise StoreError."""

    async def trades(self, limit: int) -> list[int]:
        """Trades that hold nothing by their state, for which something is held."""


class ReleaseStale(Job):
    """A host that dies just after a trade has ended leaves money held. Hosts correct that when they load a trade."""

    kind = "release_stale_trades"
    every_ms = 15_000

    def __init__(self, held: HeldTrades, hosts: Hosts) -> None:
        self._held = held
        self._hosts = hosts

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        stale = await self._held.trades(STALE_MAX)
        await asyncio.gather(*(self._hosts.ask(GetState(trade, TRADE), ANSWER_WITHIN_S) for trade in stale))
        return []


def _place_of(job: Claimed) -> tuple[int, int]:
    trade, _, seq = job.key.partition(":")
    return parse_id(trade), int(seq)


async def _record(hosts: Hosts, orders: Sequence[tuple[Claimed, int, Command]]) -> list[Later]:
    """Send these to the trades; returns the jobs of those whose hosts did not answer. Raises NotRecorded."""
    answers = await asyncio.gather(
        *(hosts.ask(command(trade, TRADE, order), ANSWER_WITHIN_S) for _, trade, order in orders)
    )
    again = []
    for (job, _, _), answer in zip(orders, answers, strict=True):
        if isinstance(answer, Refused):
            if answer.code not in TRY_AGAIN:
                raise NotRecorded(f"{job.kind} {job.key}: {answer.code}")
            again.append(Later(job, AGAIN_MS))
    return again
