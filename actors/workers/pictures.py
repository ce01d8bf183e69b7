"""Computes the fingerprints of cards' pictures, by which `POST /scans` finds cards."""

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from actors.content.pictures import CardPictures, is_here
from actors.scanning.scanner import ScanTooSlow
from actors.workers.job import Job, Later
from chain.storage.errors import ContentError
from persistence.catalog.fingerprints import Computed, Due
from persistence.jobs.store import Claimed

BATCH_MAX = 20
REST_MS = 100
# A picture may come after its card; later it is looked for when the card's pictures change.
ATTEMPTS_MAX = 8
AGAIN_AFTER_MS = 30_000

log = structlog.get_logger(__name__)


class Fingerprints(Protocol):
    """``persistence.catalog.fingerprints.CardFingerprints``. May raise StoreError."""

    async def due(self, now_ms: int, limit: int) -> list[Due]: ...
    async def record(self, computed: Sequence[Computed]) -> None: ...


class Scanner(Protocol):
    """``actors.scanning.scanner.Scanner``. May raise ScanTooSlow, ContentError."""

    async def fingerprint(self, picture: bytes) -> bytes: ...


class FingerprintPictures(Job):
    """Of each card, the first picture that is stored here. A few at a time, so that a back-fill delays nothing."""

    kind = "fingerprint_pictures"
    every_ms = 2_000
    timeout_s = 300.0

    def __init__(
        self, fingerprints: Fingerprints, pictures: CardPictures, scanner: Scanner, now_ms: Callable[[], int]
    ) -> None:
        self._fingerprints = fingerprints
        self._pictures = pictures
        self._scanner = scanner
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        due = await self._fingerprints.due(self._now_ms(), BATCH_MAX)
        if due:
            await self._fingerprints.record([await self._computed(one) for one in due])
        return [Later(job, REST_MS) for job in jobs] if len(due) == BATCH_MAX else []

    async def _computed(self, due: Due) -> Computed:
        here = [image for image in due.images if is_here(image)]
        for image in here:
            found = await self._fingerprint(image)
            if found is not None:
                return Computed(due.card_id, due.version, found)
        again = here and due.attempts < ATTEMPTS_MAX
        due_at = self._now_ms() + (AGAIN_AFTER_MS << due.attempts) if again else None
        return Computed(due.card_id, due.version, None, due_at)

    async def _fingerprint(self, image: str) -> bytes | None:
        try:
            picture = await self._pictures.read(image)
            return None if picture is None else await self._scanner.fingerprint(picture)
        except (ContentError, ScanTooSlow, OSError) as error:
            log.warning("picture_without_fingerprint", image=image, error=str(error))
            return None
