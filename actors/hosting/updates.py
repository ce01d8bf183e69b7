"""Updates: what a host publishes to all gateways after a commit, and repeats every second."""

from typing import Any, Protocol

import msgspec

from actors.hosting.entity.entity import Entity
from actors.stream.messages import PublicEvent, Update
from domain.log.codec import encode
from persistence.redis.announcements import CHANNEL_GROUPS, updates_channel

UPDATE_EVENTS_MAX = 32


class Publisher(Protocol):
    """Publishes messages without blocking; may lose them."""

    def publish(self, channel: str, message: bytes) -> None: ...


class Updates:
    """The update publisher: collects the updates of one commit by channel; ``send`` publishes them."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._pages: dict[int, list[Update]] = {}
        self._changed: dict[int, Entity] = {}

    def add(self, entity: Entity, happened: list[tuple[int, int, Any]], now_ms: int) -> None:
        """Add the entity's newest state, with the last events (seq, at, event) that led to it."""
        events = []
        for seq, at, event in happened[-UPDATE_EVENTS_MAX:]:
            kind, data = entity.rules.public_event(event)
            events.append(PublicEvent(seq, at, kind, msgspec.Raw(encode(data))))
        self._add(entity, now_ms, events)
        self._changed[entity.id] = entity

    def send(self) -> None:
        """Publish the updates added since the last call."""
        pages, self._pages = self._pages, {}
        for group, page in pages.items():
            self._publisher.publish(updates_channel(group), encode(page))

    def repeat(self, now_ms: int) -> None:
        """Publish the states of all entities that changed since the last call again: an update may be lost."""
        changed, self._changed = self._changed, {}
        for entity in changed.values():
            self._add(entity, now_ms, [])
        self.send()

    def repeat_later(self, entity: Entity) -> None:
        """Have the next ``repeat`` publish this entity: it was loaded, and its last update may be lost."""
        self._changed[entity.id] = entity

    def forget(self, entity: Entity) -> None:
        """The entity's state can't be trusted: publish nothing of it."""
        self._changed.pop(entity.id, None)

    def _add(self, entity: Entity, now_ms: int, events: list[PublicEvent]) -> None:
        update = Update(
            entity.id,
            entity.kind.name,
            entity.epoch,
            entity.seq,
            entity.at,
            entity.public(now_ms),
            entity.ended,
            events,
        )
        self._pages.setdefault(entity.slot % CHANNEL_GROUPS, []).append(update)
