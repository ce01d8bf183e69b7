"""The engine broken on purpose, in one place each, to show that the simulation finds such a bug, and how soon."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgspec
from msgspec.structs import replace

from actors.hosting.commit.reservations import Reservations
from actors.hosting.entity.entity import Entity
from actors.hosting.host import Host
from actors.hosting.updates import Updates
from actors.routing.router import HostLink
from actors.runtime.host_process import HostProcess
from actors.stream.messages import Command, command
from domain.auction.commands import PlaceBid
from gateway.fanout.entity_channel import EntityChannel
from gateway.fanout.entity_channels import EntityChannels
from persistence.postgres.errors import StaleSequence
from tests.faults.sabotage.sitecustomize import apply_over_gaps
from tests.memory.event_log import MemoryEventLog
from tests.memory.tables import MemoryTables
from tests.simulation.database import LogLink
from tests.simulation.loop import PROCESS


@dataclass(frozen=True)
class Mutant:
    """A bug: attributes that are replaced. The simulation finds it within ``seeds``."""

    name: str
    changes: tuple[tuple[type, str, Any], ...]
    seeds: int
    # The first seed: of a rare one, close to where it is found.
    first: int = 0
    # It is found where hosts also acquire slots of hosts that have a lease.
    seizing: bool = False

    @property
    def tried(self) -> range:
        return range(self.first, self.first + self.seeds)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The engine with this bug."""
        patches = [patch.object(owner, name, value) for owner, name, value in self.changes]
        for one in patches:
            one.start()
        try:
            yield
        finally:
            for one in reversed(patches):
                one.stop()


# -- the host

_append = LogLink.append


async def _ack_before_commit(log: LogLink, *batch: Any) -> bool:
    """Says that it has appended, and does so afterwards."""

    async def later() -> None:
        try:
            await _append(log, *batch)
        except Exception:
            return

    PROCESS.get().spawn(later())
    return True


_write = Host._write


async def _publish_before_commit(host: Host, batch: Any, plan: Any = None) -> bool:
    batch.close()
    for overlay in batch.touched:
        entity = overlay.entity
        after = SimpleNamespace(
            id=entity.id, kind=entity.kind, rules=overlay._rules, state=overlay.state, slot=entity.slot,
            epoch=entity.epoch, seq=overlay.seq, at=overlay.at, placement=entity.placement, ended=False,
        )  # fmt: skip
        host.updates._publish({entity.id: (after, overlay.events)})  # type: ignore[dict-item]
    return await _write(host, batch, plan)


def _release_nothing(*_: Any) -> None:
    """Forgets to release."""


async def _done(*_: Any) -> None:
    """At once, and nothing."""


_write_rows = MemoryEventLog._write


def _never_over(tables: MemoryTables, entity: int) -> bool:
    """The host's own unlock comes after the parties were told."""
    return False


def _no_fence(log: MemoryEventLog, events: Any, summaries: Any) -> None:
    try:
        _write_rows(log, events, summaries)
    except StaleSequence:
        return


def _knows_no_keys(*_: Any) -> None:
    """No command is a retry."""


_install, _snapshot = Entity.install, Entity.snapshot
_before: dict[int, Any] = {}


def _install_and_remember(entity: Entity, *after: Any) -> None:
    _before[entity.id] = entity.state
    _install(entity, *after)


def _snapshot_without_last_batch(entity: Entity) -> Any:
    """At the position of the last batch, with the state before it."""
    state = entity.state
    if _before.get(entity.id) is not None:
        entity.state = _before[entity.id]
    taken = _snapshot(entity)
    entity.state = state
    return taken


# -- the gateway

_lost = HostLink._on_lost


def _retry_with_new_keys(link: HostLink) -> None:
    """What waited on a lost stream is sent again by the gateway, as another command."""
    for number, one in list(link.waiting.items()) if link.stream is not None else ():
        request = one.request
        if isinstance(request, Command) and request.kind == "auction" and request.key is not None:
            del link.waiting[number]
            bid = _decode_bid(request.payload)
            again = replace(bid, key=bid.key + "'")
            copy = command(request.entity, "auction", again, (again.bidder, again.key))
            link._loop.call_later(0.3, link._router.send, copy, one.on_answer)
    _lost(link)


_decode_bid = msgspec.msgpack.Decoder(PlaceBid).decode


_add = Updates.add


def _add_out_of_order(updates: Updates, entity: Entity, happened: list[Any]) -> None:
    _add(updates, entity, happened[::-1])


MUTANTS = (
    Mutant("ack before commit", ((LogLink, "append", _ack_before_commit),), 20),
    Mutant("updates before commit", ((Host, "_write", _publish_before_commit),), 40),
    Mutant("updates out of order", ((Updates, "add", _add_out_of_order),), 20),
    Mutant("missed updates unnoticed", ((EntityChannel, "apply", apply_over_gaps),), 20),
    Mutant("no resynchronisation", ((EntityChannels, "missed", _release_nothing),), 60),
    Mutant("release forgotten", ((Reservations, "_release", _release_nothing),), 20, first=20),
    # Where former owners are stopped before others write, the log's fence is the second one.
    Mutant("fence off", ((MemoryEventLog, "_write", _no_fence), (HostProcess, "_fence", _done)), 20, seizing=True),
    Mutant("connections unconfirmed", ((HostProcess, "confirm", _done),), 40, first=30, seizing=True),
    Mutant("lease not waited for", ((HostProcess, "_until_ended", _done),), 70, first=90, seizing=True),
    Mutant("copies locked beyond the end", ((MemoryTables, "is_over", _never_over),), 10, first=130),
    Mutant("keys ignored", ((Entity, "known", _knows_no_keys),), 20),
    Mutant("retry with a new key", ((HostLink, "_on_lost", _retry_with_new_keys),), 20, first=40),
    Mutant(
        "snapshot without the last batch",
        ((Entity, "install", _install_and_remember), (Entity, "snapshot", _snapshot_without_last_batch)),
        20,
    ),
)
