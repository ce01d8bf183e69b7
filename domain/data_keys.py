"""Data keys, which encrypt values, as they are stored: encrypted ("wrapped") by a master key."""

from collections.abc import Iterable

import msgspec

VALUES = "values"
EMAIL_INDEX = "email_index"


class WrappedKey(msgspec.Struct, frozen=True):
    """A data key. ``master_id`` names the master key that unwraps it; ``usable_from`` in milliseconds."""

    key_id: str
    purpose: str
    master_id: str
    wrapped: bytes
    usable_from: int

    def __repr__(self) -> str:
        return f"WrappedKey(key_id={self.key_id}, master_id={self.master_id})"


def newest_usable(keys: Iterable[WrappedKey], now_ms: int) -> WrappedKey | None:
    """The key that encrypts values now: the one that became usable last."""
    usable = [key for key in keys if key.purpose == VALUES and key.usable_from <= now_ms]
    return max(usable, key=lambda key: (key.usable_from, key.key_id), default=None)
