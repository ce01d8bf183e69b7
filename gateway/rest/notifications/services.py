"""The stores of the routes about watches, searches and notifications."""

from dataclasses import dataclass

from persistence.notifications.saved_searches import SavedSearches
from persistence.notifications.store import Notifications
from persistence.notifications.watches import Watches


@dataclass(frozen=True)
class Watching:
    """Watches, saved searches, and the notifications that follow from them."""

    watches: Watches
    searches: SavedSearches
    notifications: Notifications
