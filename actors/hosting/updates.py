"""Updates: what a host publishes to all gateways after its commits, and repeats every second."""

import asyncio
from typing import Any, Protocol

from actors.clock import Clock
from actors.hosting.entity.entity import Entity
from actors.stream.messages import PublicEvent, Update
from domain.log.codec import encode
from persistence.redis.announcements import CHANNEL_GROUPS, updates_channel

UPDATE_EVENTS_MAX = 32
# Under load several commits are published together: watchers are notified every 20 ms at most, and a message for
# each commit took 6% of a host's time.
PUBLISH_EVERY_S = 0.005

Happened = tuple[int, int, Any]
"""(seq, at, event)."""


class Publisher(Protocol):
    """Publishes messages without blocking; may lose them."""

    def publish(self, channel: str, message: bytes) -> None: ...


class Updates:
    """The update publisher: collects what changed, and publishes it at once or ``PUBLISH_EVERY_S`` after the last."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        # Not published yet: the last events of each entity.
        self._pending: dict[int, tuple[Entity, list[Happened]]] = {}
        self._changed: dict[int, Entity] = {}
        self._published_at = -PUBLISH_EVERY_S
        self._timer: asyncio.TimerHandle | None = None

    def add(self, entity: Entity, happened: list[Happened]) -> None:
        """The entity has changed: the next message has its newest state, and the last events that led to it."""
        pending = self._pending.get(entity.id)
        if pending is None:
            self._pending[entity.id] = (entity, happened)
        else:
            pending[1].extend(happened)
            del pending[1][:-UPDATE_EVENTS_MAX]
        self._changed[entity.id] = entity

    def send(self) -> None:
        """Publish what was added, soon."""
        if self._pending and self._timer is None:
            loop = asyncio.get_running_loop()
            wait_s = self._published_at + PUBLISH_EVERY_S - loop.time()
            if wait_s <= 0:
                self.flush()
            else:
                self._timer = loop.call_later(wait_s, self.flush)

    def flush(self) -> None:
        """Publish what was added, now. Only between commits: an entity's state is that after its last event."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, {}
        if pending:
            self._published_at = asyncio.get_running_loop().time()
            self._publish(pending)

    def repeat(self) -> None:
        """Publish the states of all entities that changed since the last call again: an update may be lost."""
        self.flush()
        changed, self._changed = self._changed, {}
        self._publish({entity.id: (entity, []) for entity in changed.values()})

    def repeat_later(self, entity: Entity) -> None:
        """Have the next ``repeat`` publish this entity: it was loaded, and its last update may be lost."""
        self._changed[entity.id] = entity

    def forget(self, entity: Entity) -> None:
        """The entity's state can't be trusted: publish nothing of it."""
        self._changed.pop(entity.id, None)
        self._pending.pop(entity.id, None)

    def _publish(self, given: dict[int, tuple[Entity, list[Happened]]]) -> None:
        now_ms = self._clock.now_ms()
        pages: dict[int, list[Update[Any]]] = {}
        for entity, happened in given.values():
            rules = entity.rules
            events = [
                PublicEvent(seq, at, *rules.public_event(event)) for seq, at, event in happened[-UPDATE_EVENTS_MAX:]
            ]
            state = rules.public_state(entity.state, now_ms, entity.placement)
            pages.setdefault(entity.slot % CHANNEL_GROUPS, []).append(
                Update(entity.id, entity.kind.name, entity.epoch, entity.seq, entity.at, state, entity.ended, events)
            )
        for group, page in pages.items():
            self._publisher.publish(updates_channel(group), encode(page))
