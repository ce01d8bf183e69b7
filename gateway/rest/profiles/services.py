"""The stores of the routes of profiles and accounts."""

from dataclasses import dataclass

from persistence.accounts.deletions import Deletions
from persistence.accounts.exports import Exports
from persistence.keys.exports import ExportCipher
from persistence.notifications.preferences import NotificationPreferences
from persistence.postgres.pool import Pool
from persistence.profiles.activities import Activities
from persistence.profiles.follows import Follows
from persistence.profiles.profiles import Profiles


@dataclass(frozen=True)
class ProfileServices:
    """Profiles, follows, acts, what users want to be notified of; exports of their data, and deletion of accounts."""

    profiles: Profiles
    follows: Follows
    notifications: NotificationPreferences
    activities: Activities
    exports: Exports
    deletions: Deletions


def profile_services(pool: Pool, cipher: ExportCipher | None = None) -> ProfileServices:
    """All of them over one pool. ``cipher`` reads exports that are encrypted."""
    return ProfileServices(
        Profiles(pool), Follows(pool), NotificationPreferences(pool), Activities(pool), Exports(pool, cipher),
        Deletions(pool),
    )  # fmt: skip
