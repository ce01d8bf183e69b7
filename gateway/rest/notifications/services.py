"""What the routes and the task about watching, searches and notifications work with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from persistence.notifications.alerts import Alerts
from persistence.notifications.saved_searches import SavedSearches
from persistence.notifications.store import Notifications
from persistence.notifications.watches import Watches


@dataclass(frozen=True)
class Watching:
    """Watches, saved searches, and the notifications that follow from them."""

    watches: Watches
    searches: SavedSearches
    notifications: Notifications
    alerts: Alerts
    # These users have new notifications: those who are connected get them.
    told: Callable[[Sequence[int]], None] = lambda users: None
