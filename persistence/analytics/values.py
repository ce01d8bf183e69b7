"""The values of collections at the end of each day, by the last sales as known then.

Only whose copies changed hands that day, and who has a copy of a card that was sold that day, is valued: the others
are as they were. What was known at a day's end does not change later, so a sale that is taken back afterwards is still
in it.
"""

from asyncpg.pool import PoolConnectionProxy

from domain.sales.portfolio import DAY_MS, day_of
from persistence.analytics.models import STATEMENT_TIMEOUT_S, Changed

# A day is valued so long after its end: by then what happened in it is written. What still comes later is valued again.
SLACK_MS = 600_000
# So far back; what is written later than that changes the days since then.
LATE_DAYS_MAX = 400
CARDS_A_STEP = 200
OWNERS_A_STEP = 50
ROUNDS_A_STEP = 4

_QUEUE_CARDS = """
    INSERT INTO value_cards (day, card_id) SELECT * FROM unnest($1::int[], $2::bigint[]) ON CONFLICT DO NOTHING
"""
# A day before one that has been valued: its owners are valued again on all days up to there.
_QUEUE_OWNERS = f"""
    INSERT INTO value_owners (day, owner_id)
    SELECT series, owner FROM unnest($1::int[], $2::bigint[]) AS u (day, owner),
        (SELECT value_day FROM analytics_progress) AS progress,
        generate_series(greatest(u.day, value_day - {LATE_DAYS_MAX}), greatest(u.day, value_day - 1)) AS series
    ON CONFLICT DO NOTHING
"""
_EXPAND = f"""
    WITH taken AS (
        DELETE FROM value_cards WHERE (day, card_id) IN (
            SELECT day, card_id FROM value_cards WHERE day <= $1 ORDER BY day, card_id LIMIT $2)
        RETURNING day, card_id
    ), owners AS (
        SELECT DISTINCT t.first, t.last, p.to_owner FROM (
            SELECT card_id, greatest(day, value_day - {LATE_DAYS_MAX}) AS first, greatest(day, value_day - 1) AS last
            FROM taken, analytics_progress
        ) AS t JOIN copies c ON c.card_id = t.card_id
        JOIN provenance p ON p.copy_id = c.copy_id AND p.at < (t.last + 1) * {DAY_MS}::bigint
    ), queued AS (
        INSERT INTO value_owners (day, owner_id)
        SELECT series, to_owner FROM owners, generate_series(first, last) AS series ON CONFLICT DO NOTHING
    )
    SELECT count(*) FROM taken
"""
_NEXT_DAY = "SELECT min(day) FROM value_owners WHERE day <= $1"
_VALUE = f"""
    WITH due AS (
        DELETE FROM value_owners WHERE day = $1 AND owner_id IN (
            SELECT owner_id FROM value_owners WHERE day = $1 ORDER BY owner_id LIMIT $2)
        RETURNING owner_id
    ), held AS MATERIALIZED (
        SELECT due.owner_id, c.card_id, count(*) AS copies FROM due
        JOIN provenance p ON p.to_owner = due.owner_id AND p.at < ($1 + 1) * {DAY_MS}::bigint
        JOIN copies c ON c.copy_id = p.copy_id
        WHERE NOT EXISTS (SELECT FROM provenance later WHERE later.copy_id = p.copy_id AND later.seq > p.seq
            AND later.at < ($1 + 1) * {DAY_MS}::bigint)
        GROUP BY due.owner_id, c.card_id
    ), prices AS MATERIALIZED (
        SELECT cards.card_id, l.currency, latest.price
        FROM (SELECT DISTINCT card_id FROM held) AS cards CROSS JOIN ledger_currencies l CROSS JOIN LATERAL (
            SELECT s.price FROM sales s
            WHERE s.card_id = cards.card_id AND s.currency = l.currency AND s.at < ($1 + 1) * {DAY_MS}::bigint
                AND NOT EXISTS (SELECT FROM refunds r WHERE r.auction_id = s.auction_id AND r.round = s.round
                    AND r.at < ($1 + 1) * {DAY_MS}::bigint)
            ORDER BY s.at DESC, s.sale_no DESC LIMIT 1
        ) AS latest
    ), fresh AS MATERIALIZED (
        SELECT due.owner_id, l.currency, coalesce(sum(h.copies), 0) AS copies,
            coalesce(sum(h.copies::numeric * p.price), 0) AS value
        FROM due CROSS JOIN ledger_currencies l LEFT JOIN held h ON h.owner_id = due.owner_id
        LEFT JOIN prices p ON p.card_id = h.card_id AND p.currency = l.currency
        GROUP BY due.owner_id, l.currency
    ), compared AS MATERIALIZED (
        SELECT f.*, (f.copies, f.value) <> (coalesce(b.copies, 0), coalesce(b.value, 0)) AS differs
        FROM fresh f LEFT JOIN LATERAL (
            SELECT v.copies, v.value FROM user_value_days v
            WHERE v.user_id = f.owner_id AND v.currency = f.currency AND v.day < $1 ORDER BY v.day DESC LIMIT 1
        ) AS b ON true
    ), gone AS (
        DELETE FROM user_value_days v USING compared c
        WHERE v.user_id = c.owner_id AND v.currency = c.currency AND v.day = $1 AND NOT c.differs
    ), put AS (
        INSERT INTO user_value_days (user_id, currency, day, copies, value)
        SELECT owner_id, currency, $1, copies, value FROM compared WHERE differs
        ON CONFLICT (user_id, currency, day) DO UPDATE SET copies = excluded.copies, value = excluded.value
    )
    UPDATE analytics_progress SET value_day = greatest(value_day, $1 + 1) RETURNING (SELECT count(*) FROM due)
"""


async def queue_values(connection: PoolConnectionProxy, changed: Changed) -> None:
    """Queue the collections and days that have to be valued."""
    if changed.value_cards:
        days, cards = zip(*sorted(changed.value_cards), strict=True)
        await connection.execute(_QUEUE_CARDS, days, cards, timeout=STATEMENT_TIMEOUT_S)
    if changed.value_owners:
        days, owners = zip(*sorted(changed.value_owners), strict=True)
        await connection.execute(_QUEUE_OWNERS, days, owners, timeout=STATEMENT_TIMEOUT_S)


async def value_collections(connection: PoolConnectionProxy, now_ms: int) -> int:
    """Value some of what is due, the earliest days first; how much was done, 0 at the end of it."""
    last, done = day_of(now_ms - SLACK_MS) - 1, 0
    for _ in range(ROUNDS_A_STEP):
        valued = await _value_some(connection, last)
        if not valued:
            break
        done += valued
    return done


async def _value_some(connection: PoolConnectionProxy, last: int) -> int:
    # All owners of the earlier days come before those of the later ones: a day is compared with the one before it.
    taken: int = await connection.fetchval(_EXPAND, last, CARDS_A_STEP, timeout=STATEMENT_TIMEOUT_S)
    if taken:
        return taken
    day = await connection.fetchval(_NEXT_DAY, last)
    if day is None:
        return 0
    valued: int = await connection.fetchval(_VALUE, day, OWNERS_A_STEP, timeout=STATEMENT_TIMEOUT_S)
    return valued
