"""Notifications of the parties of trades, once each. Triggers on ``trades`` write the jobs, as those of auctions do."""

from collections.abc import Iterator, Sequence

import asyncpg
import msgspec

from domain.ids import parse_id
from domain.kinds import kind_of
from domain.trade.notices import notice_of
from persistence.jobs.store import Claimed, complete_within
from persistence.notifications.alerts import BATCH_TIMEOUT_S, store_found
from persistence.postgres.guard import guard
from persistence.trades.agreements import TRADE

NOTIFY_TRADE = "notify_trade"

_json = msgspec.json.Encoder().encode
_read_payload = msgspec.json.Decoder(dict[str, int]).decode

_EVENTS = """
    SELECT e.entity_id, e.seq, e.body, t.parties
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS w (trade, after_seq, up_to),
        LATERAL (SELECT entity_id, seq, body FROM entity_events
            WHERE entity_id = w.trade AND seq > w.after_seq AND seq <= w.up_to) AS e
    JOIN trades t ON t.trade_id = e.entity_id
"""
# The trade as it is now, which may be later than the event.
_NOTIFY = f"""
    WITH found AS (
        SELECT n.user_id, n.kind, n.about, n.data::jsonb || jsonb_build_object('by', u.username, 'trade',
            jsonb_build_object('id', id_text(t.trade_id), 'status', t.status, 'version', t.version, 'parties', (
                SELECT jsonb_agg(p.username ORDER BY p.user_id) FROM users p
                WHERE p.user_id = ANY(string_to_array(t.parties, ',')::bigint[])))) AS data
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
            AS n (user_id, kind, about, data, by, trade_id)
        JOIN trades t ON t.trade_id = n.trade_id LEFT JOIN users u ON u.user_id = n.by
    ), {store_found("$7")}
"""


class TradeAlerts:
    """Writes the notifications for batches of jobs."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def notify(self, jobs: Sequence[Claimed], now_ms: int) -> list[int]:
        """Notify users, and complete the jobs, in one transaction; returns the users with new notifications.

        The keys are a trade's id and a place in its log, the payloads what comes before. Raises StoreUnavailable,
        LeaseLost.
        """
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            spans = [_span_of(job) for job in jobs]
            rows = await connection.fetch(_EVENTS, *zip(*spans, strict=True), timeout=BATCH_TIMEOUT_S)
            notifications = [one for row in rows for one in _notifications(*row)]
            users = []
            if notifications:
                columns = zip(*notifications, strict=True)
                users = await connection.fetch(_NOTIFY, *columns, now_ms, timeout=BATCH_TIMEOUT_S)
            await complete_within(connection, jobs)
        return [row[0] for row in users]


def _span_of(job: Claimed) -> tuple[int, int, int]:
    trade, _, seq = job.key.partition(":")
    return parse_id(trade), _read_payload(job.payload)["after"], int(seq)


def _notifications(
    trade: int, seq: int, body: bytes, parties: str
) -> Iterator[tuple[int, str, str, str, int | None, int]]:
    """(user, kind, about, data, by, trade) of all who are notified of an event."""
    notice = notice_of(kind_of(TRADE).codec.decode_event(body))
    if notice is None:
        return
    for user in map(int, parties.split(",")):
        if user != notice.by:
            yield user, notice.kind, f"trade {trade} {seq}", _json(notice.data).decode(), notice.by, trade
