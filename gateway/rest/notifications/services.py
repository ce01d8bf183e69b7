"""The stores of the routes about watches, searches and notifications."""

from collections.abc import Sequence
from dataclasses import dataclass

from persistence.notifications.saved_searches import SavedSearches
from persistence.notifications.store import Notifications
from persistence.notifications.watches import Watches
from persistence.push.subscriptions import PushSubscriptions


@dataclass(frozen=True)
class PushServices:
    """``key``: the public key of messages; ``origins``: the push services that are known."""

    subscriptions: PushSubscriptions
    key: str
    origins: Sequence[str]


@dataclass(frozen=True)
class Watching:
    """Watches, saved searches, and the notifications that follow from them."""

    watches: Watches
    searches: SavedSearches
    notifications: Notifications
    push: PushServices
