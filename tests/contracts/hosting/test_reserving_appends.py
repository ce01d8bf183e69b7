"""Funds reserved in the statement that appends, on a real PostgreSQL: all of it is done, or nothing."""

import itertools
import time
from collections.abc import AsyncIterator

import pytest

from domain.ledger.books import HOUSE
from domain.ledger.ids import held_for, transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.rules import Reserve, balance_check
from persistence.ledger.reserves import reserves_at_once
from persistence.ledger.store import HeldFor, Ledger
from persistence.log.event_log import EventLog, EventRow
from persistence.log.summaries import SummaryRow
from persistence.postgres.errors import StaleSequence
from persistence.postgres.pool import Pool
from persistence.summary_tables import SUMMARY_TABLES

ANN, BOB = 71_001, 71_002
ENTITIES = itertools.count(8_100_000_000_000_001)


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[EventLog]:
    log = EventLog(database_url, SUMMARY_TABLES)
    await log.open()
    await log.prepare_appends()
    yield log
    await log.close()


@pytest.fixture
async def ledger(pool: Pool) -> Ledger:
    """ANN has 100 available, BOB 5."""
    ledger = Ledger(pool)
    faucet = (await ledger.accounts([HOUSE], "USDC", "faucet"))[HOUSE]
    accounts = await ledger.accounts([ANN, BOB], "USDC")
    now_ms = time.time_ns() // 1_000_000
    for user, amount in ((ANN, 100), (BOB, 5)):
        held = await pool.fetchval("SELECT posted FROM ledger_accounts WHERE account_id = $1", accounts[user])
        order = Transfer(transfer_id("reserving", user, held), faucet, accounts[user], amount - held, "deposit")
        if amount != held:
            await ledger.execute([order], now_ms)
    return ledger


def row(entity: int, seq: int) -> EventRow:
    return EventRow(entity, "pot", seq, 1, seq, None, b"event", bytes(32))


def summary(entity: int, seq: int) -> SummaryRow:
    return SummaryRow(entity, "pot", 0, None, False, 1, seq)


def arrays(*wanted: Reserve) -> tuple[object, ...]:
    found = reserves_at_once(wanted)
    assert found is not None
    return ("USDC", *found)


async def held(ledger: Ledger, entity: int) -> list[HeldFor]:
    return await ledger.held_for([held_for("pot", entity)], "USDC")


async def test_what_can_be_paid_is_reserved_and_written_together(log: EventLog, ledger: Ledger, pool: Pool):
    entity = next(ENTITIES)
    reference = held_for("pot", entity)
    wanted = arrays(Reserve(reference, ANN, 40), balance_check(reference, BOB, 5))
    assert await log.append([row(entity, 1)], [summary(entity, 1)], wanted)
    assert [one.seq for one in await log.tail(entity, 0)] == [1]
    assert await held(ledger, entity) == [HeldFor(reference, ANN, 40)]
    assert await pool.fetchval("SELECT seq FROM entities WHERE entity_id = $1", entity) == 1
    assert await log.append([row(entity, 2)], (), arrays(Reserve(reference, ANN, 0, 0)))
    assert await held(ledger, entity) == []


@pytest.mark.parametrize("with_summary", [False, True])
async def test_what_somebody_cannot_pay_writes_and_reserves_nothing(
    log: EventLog, ledger: Ledger, pool: Pool, with_summary: bool
):
    entity = next(ENTITIES)
    reference = held_for("pot", entity)
    wanted = arrays(Reserve(reference, ANN, 40), balance_check(reference, BOB, 6))
    summaries = [summary(entity, 1)] if with_summary else []
    assert not await log.append([row(entity, 1)], summaries, wanted)
    assert await log.tail(entity, 0) == []
    assert await held(ledger, entity) == []
    assert await pool.fetchval("SELECT count(*) FROM entities WHERE entity_id = $1", entity) == 0


async def test_a_row_that_another_writer_has_written_takes_the_reservation_back(log: EventLog, ledger: Ledger):
    entity = next(ENTITIES)
    reference = held_for("pot", entity)
    await log.append([row(entity, 1)])
    with pytest.raises(StaleSequence):
        await log.append([row(entity, 1)], (), arrays(Reserve(reference, ANN, 40)))
    assert await held(ledger, entity) == []
