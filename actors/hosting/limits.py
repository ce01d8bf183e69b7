"""The bounds of one host."""

from dataclasses import dataclass

from actors.stream.connection import STREAMS_MAX, UNREAD_BYTES_MAX
from persistence.redis.announcements import ANNOUNCEMENT_QUEUE_MAX


@dataclass(frozen=True)
class HostLimits:
    """Bounds of one host; see docs/architecture.md, Bounds."""

    inbox_max: int = 20_000
    mailbox_max: int = 4_000
    batch_max: int = 2_000
    snapshot_every_events: int = 1_000
    passivate_after_ms: int = 300_000
    streams_max: int = STREAMS_MAX
    stream_unread_bytes_max: int = UNREAD_BYTES_MAX
    updates_waiting_max: int = ANNOUNCEMENT_QUEUE_MAX
