"""The tables ``content`` and ``content_copies``."""

from collections.abc import Sequence

import asyncpg
import msgspec

from persistence.postgres.guard import guarded

ADD_MAX = 1_000
DAY_MS = 86_400_000


class ContentRow(msgspec.Struct, frozen=True):
    """One content. ``body`` is None where it is a file."""

    cid: str
    size: int
    media_type: str
    body: bytes | None


class ContentCopy(msgspec.Struct, frozen=True):
    """A copy on ``service``, ``requested`` or ``stored``. ``remote_id`` is its id there, if that is not the CID.

    ``updated_at``: since when it has this state (ms).
    """

    cid: str
    service: str
    state: str
    remote_id: str | None
    updated_at: int


# One statement: the jobs that make copies exist if and only if the content does. Content that is there already stays
# as it is.
_ADD = """
    WITH added AS (
        INSERT INTO content (cid, size, media_type, body, created_at, created_by)
        SELECT cid, size, media_type, body, $5, $6
        FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[]) AS given (cid, size, media_type, body)
        ORDER BY cid ON CONFLICT (cid) DO NOTHING RETURNING cid
    ), queued AS (
        INSERT INTO jobs (kind, key, run_at)
        SELECT kind, cid, 0 FROM added, unnest($7::text[]) AS kind ON CONFLICT (kind, key) DO NOTHING
    )
    SELECT count(*) FROM added
"""
_GET = "SELECT cid, size, media_type, body FROM content WHERE cid = $1"
_MANY = "SELECT cid, size, media_type, body FROM content WHERE cid = ANY($1::text[])"
_KNOWN = "SELECT cid FROM content WHERE cid = ANY($1::text[])"
_PAGE = "SELECT cid, size, media_type, body FROM content WHERE cid > $1 ORDER BY cid LIMIT $2"
_UPLOADED = """
    SELECT coalesce(sum(size), 0)::bigint FROM content WHERE created_by = $1 AND created_at > $2
"""
_RECORD = """
    INSERT INTO content_copies (cid, service, state, remote_id, updated_at)
    SELECT cid, $2, $4, remote_id, $5 FROM unnest($1::text[], $3::text[]) AS given (cid, remote_id)
    ON CONFLICT (cid, service) DO UPDATE
    SET state = excluded.state, remote_id = excluded.remote_id, updated_at = excluded.updated_at
    WHERE (content_copies.state, content_copies.remote_id) IS DISTINCT FROM (excluded.state, excluded.remote_id)
"""
_COPIES = """
    SELECT cid, service, state, remote_id, updated_at FROM content_copies WHERE cid = ANY($1::text[])
    ORDER BY cid, service
"""
_TOTALS = "SELECT count(*), coalesce(sum(size), 0)::bigint FROM content"
_COPY_TOTALS = "SELECT service, state, count(*) FROM content_copies GROUP BY 1, 2 ORDER BY 1, 2"
_MISSING = """
    SELECT cid FROM content c WHERE cid > $2
        AND NOT EXISTS (SELECT FROM content_copies k WHERE k.cid = c.cid AND k.service = $1 AND k.state = 'stored')
    ORDER BY cid LIMIT $3
"""


class ContentIndex:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(
        self, rows: Sequence[ContentRow], now_ms: int, *, user: int | None = None, copy_jobs: Sequence[str] = ()
    ) -> int:
        """Add these, and for each a job of these kinds; returns how many are new. Files have to be complete."""
        assert len(rows) <= ADD_MAX, "pages have a maximum"
        unique = list({row.cid: row for row in rows}.values())
        added: int = await guarded(
            self._pool.fetchval(
                _ADD,
                [row.cid for row in unique],
                [row.size for row in unique],
                [row.media_type for row in unique],
                [row.body for row in unique],
                now_ms,
                user,
                list(copy_jobs),
            )
        )
        return added

    async def get(self, cid: str) -> ContentRow | None:
        """One content; None if it is not stored."""
        row = await guarded(self._pool.fetchrow(_GET, cid))
        return None if row is None else ContentRow(*row)

    async def many(self, cids: Sequence[str]) -> dict[str, ContentRow]:
        """Those of these that are stored."""
        rows = await guarded(self._pool.fetch(_MANY, cids))
        return {row["cid"]: ContentRow(*row) for row in rows}

    async def known(self, cids: Sequence[str]) -> set[str]:
        """Which of these are stored."""
        return {row[0] for row in await guarded(self._pool.fetch(_KNOWN, cids))}

    async def page(self, after: str, limit: int) -> list[ContentRow]:
        """The next content by CID."""
        return [ContentRow(*row) for row in await guarded(self._pool.fetch(_PAGE, after, limit))]

    async def uploaded(self, user: int, now_ms: int) -> int:
        """Bytes that a user has uploaded in the last 24 hours."""
        uploaded: int = await guarded(self._pool.fetchval(_UPLOADED, user, now_ms - DAY_MS))
        return uploaded

    async def record_copies(
        self, service: str, copies: Sequence[tuple[str, str | None]], state: str, now_ms: int
    ) -> None:
        """Record the state of copies: (CID, id there or None)."""
        cids, remote_ids = [cid for cid, _ in copies], [remote_id for _, remote_id in copies]
        await guarded(self._pool.execute(_RECORD, cids, service, remote_ids, state, now_ms))

    async def copies(self, cids: Sequence[str]) -> list[ContentCopy]:
        """The copies of these on other services."""
        return [ContentCopy(*row) for row in await guarded(self._pool.fetch(_COPIES, cids))]

    async def totals(self) -> tuple[int, int, list[tuple[str, str, int]]]:
        """Number and bytes of all content, and numbers of copies by service and state."""
        count, size = (await guarded(self._pool.fetch(_TOTALS)))[0]
        return count, size, [tuple(row) for row in await guarded(self._pool.fetch(_COPY_TOTALS))]

    async def missing(self, service: str, after: str, limit: int) -> list[str]:
        """The next CIDs of content without a complete copy on this service."""
        return [row[0] for row in await guarded(self._pool.fetch(_MISSING, service, after, limit))]
