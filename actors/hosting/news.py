"""What a host tells all gateways after a commit, and every second once more where things stand."""

from typing import Protocol

import msgspec

from actors.hosting.entity.keeper import Keeper
from actors.stream.messages import AnnouncedEvent, News
from domain.auction.events import Event
from domain.auction.views import public_event
from persistence.redis.announcements import CHANNEL_GROUPS, news_channel

NEWS_EVENTS_MAX = 32

_encode = msgspec.msgpack.Encoder().encode


class Publisher(Protocol):
    """Takes messages without making anyone wait; may lose them."""

    def publish(self, channel: str, message: bytes) -> None: ...


class Newsroom:
    """Gathers the news of one commit by channel; ``send`` hands them on."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._pages: dict[int, list[News]] = {}
        self._changed: dict[int, Keeper] = {}

    def announce(self, keeper: Keeper, happened: list[tuple[int, int, Event]], now_ms: int) -> None:
        """The auction's newest state, with the last events (seq, at, event) that led there."""
        events = []
        for seq, at, event in happened[-NEWS_EVENTS_MAX:]:
            kind, data = public_event(event)
            events.append(AnnouncedEvent(seq, at, kind, msgspec.Raw(_encode(data))))
        self._add(keeper, now_ms, events)
        self._changed[keeper.auction_id] = keeper

    def send(self) -> None:
        """Publish what was announced since the last call."""
        pages, self._pages = self._pages, {}
        for group, page in pages.items():
            self._publisher.publish(news_channel(group), _encode(page))

    def remind(self, now_ms: int) -> None:
        """Say again where everything stands that changed since the last reminder: the last word may have been lost."""
        changed, self._changed = self._changed, {}
        for keeper in changed.values():
            self._add(keeper, now_ms, [])
        self.send()

    def stands(self, keeper: Keeper) -> None:
        """Say with the next reminder where this auction stands: it was loaded, and its last word may have been lost."""
        self._changed[keeper.auction_id] = keeper

    def forget(self, keeper: Keeper) -> None:
        """The keeper's state is not to be trusted: nothing of it is to be said."""
        self._changed.pop(keeper.auction_id, None)

    def _add(self, keeper: Keeper, now_ms: int, events: list[AnnouncedEvent]) -> None:
        news = News(keeper.auction_id, keeper.epoch, keeper.seq, keeper.at, keeper.public(now_ms), events)
        self._pages.setdefault(keeper.slot % CHANNEL_GROUPS, []).append(news)
