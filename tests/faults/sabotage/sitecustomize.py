"""Breaks the engine on purpose, to show that the checker sees it.

With this folder on PYTHONPATH every Python process of an engine runs this file when it starts, before anything else.
TESTS_SABOTAGE names what is to be broken; the engine's own code has no hook for it.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Break = Callable[[Any], None]


def ack_before_commit(module: Any) -> None:
    """Appends come back at once, and are written later, one every half a second: more and more are waiting."""
    import asyncio
    import contextlib

    write = module.EventLog.append

    async def write_later(log: Any) -> None:
        while log.waiting:
            await asyncio.sleep(0.5)
            with contextlib.suppress(Exception):
                await write(log, *log.waiting[0])
            log.waiting.pop(0)

    async def append(log: Any, *batch: Any) -> bool:
        waiting = log.__dict__.setdefault("waiting", [])
        waiting.append(batch)
        if len(waiting) == 1:
            log.writing = asyncio.create_task(write_later(log))
        return True

    module.EventLog.append = append


def no_fence(module: Any) -> None:
    """A second writer does not get StaleSequence."""
    write = module.EventLog.append

    async def append(log: Any, *batch: Any) -> bool:
        try:
            return await write(log, *batch)
        except module.StaleSequence:
            return True

    module.EventLog.append = append


def lose_updates(module: Any) -> None:
    """Every third announcement that has events is never sent."""
    import msgspec

    publish = module.Announcer.publish
    position_of_events = 7

    def lossy(announcer: Any, channel: str, message: bytes) -> None:
        page = msgspec.msgpack.decode(message) if channel.startswith("ece:updates") else []
        if any(len(update) > position_of_events and update[position_of_events] for update in page):
            announcer.counted = announcer.__dict__.get("counted", 0) + 1
            if announcer.counted % 3 == 0:
                return
        publish(announcer, channel, message)

    module.Announcer.publish = lossy


def apply_over_gaps(channel: Any, update: Any) -> None:
    """A channel that missed updates goes on as if nothing had been in between."""
    if not channel.loaded:
        channel._early.append(update)
    elif (update.epoch, update.seq) > (channel.epoch, channel.seq):
        fresh = [event for event in update.events if event.seq > channel.seq]
        channel._pending += fresh
        channel.tail.extend(fresh)
        channel._set_position(update)
        channel._schedule()


def forget_gaps(module: Any) -> None:
    """So does every channel of a gateway."""
    module.EntityChannel.apply = apply_over_gaps


def die_while_settling(module: Any) -> None:
    """kill -9 before the n-th statement of a settlement (TESTS_DIE_AT), counted from the one that begins it."""
    _die(lambda connection, query: _name_of(connection) == "ece-settler" and query.startswith("BEGIN"))


def die_while_notifying(module: Any) -> None:
    """kill -9 before the n-th statement (TESTS_DIE_AT), counted from the one that writes notifications."""
    _die(lambda _, query: "INSERT INTO notifications " in query)


def _name_of(connection: Any) -> str | None:
    return (connection._params.server_settings or {}).get("application_name")


def _die(begins: Callable[[Any, str], bool]) -> None:
    """kill -9 before the n-th statement of connections of one name, counted from the one that begins it."""
    import signal

    from asyncpg.connection import Connection

    at, count, name = int(os.environ["TESTS_DIE_AT"]), 0, None
    execute, ask = Connection.execute, Connection._execute

    def step(connection: Any, query: str) -> None:
        nonlocal count, name
        if count == 0 and begins(connection, query):
            name = _name_of(connection) or connection
        elif count == 0 or name not in (_name_of(connection), connection):
            return
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def counted_execute(connection: Any, query: str, *args: Any, **named: Any) -> Any:
        # With arguments it comes by the other way as well, and counts there.
        if not args:
            step(connection, query)
        return await execute(connection, query, *args, **named)

    async def counted_ask(connection: Any, query: str, *args: Any, **named: Any) -> Any:
        step(connection, query)
        return await ask(connection, query, *args, **named)

    Connection.execute, Connection._execute = counted_execute, counted_ask


SABOTAGES: dict[str, dict[str, Break]] = {
    "ack before commit": {"persistence.log.event_log": ack_before_commit},
    "death while settling": {"persistence.sales.settlement": die_while_settling},
    "death while notifying": {"persistence.notifications.alerts": die_while_notifying},
    "no fence": {"persistence.log.event_log": no_fence},
    "lost updates and forgotten gaps": {
        "persistence.redis.announcements": lose_updates,
        "gateway.fanout.entity_channel": forget_gaps,
    },
}


class Saboteur(importlib.abc.MetaPathFinder):
    """Finds the modules to be broken as Python would, and breaks them once they are loaded."""

    def __init__(self, breaks: dict[str, Break]) -> None:
        self._breaks = breaks

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._breaks:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def load_and_break(module: ModuleType) -> None:
            load(module)
            self._breaks[name](module)

        spec.loader.exec_module = load_and_break  # type: ignore[method-assign]
        return spec


if os.environ.get("TESTS_SABOTAGE"):
    sys.meta_path.insert(0, Saboteur(SABOTAGES[os.environ["TESTS_SABOTAGE"]]))
