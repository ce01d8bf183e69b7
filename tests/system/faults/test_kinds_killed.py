"""A kind that only tests know, in host processes on a real PostgreSQL: kill -9, retries, money, verification."""

import asyncio
import time
from contextlib import AsyncExitStack

import msgspec
import pytest
from engines import SharedEngine

from actors.stream.messages import Accepted, Answer, Command, GetState, Open, Refused, StateAnswer, command
from domain.kinds import kind_of
from domain.ledger.ids import held_for
from domain.log.chain import LogRow
from domain.log.codec import encode
from domain.log.verification import LogVerifier, SnapshotClaim
from persistence.ledger.faucet import fund
from persistence.ledger.store import Ledger
from persistence.log.event_log import EventLog
from persistence.log.history import EntityHistory
from persistence.log.snapshots import SnapshotStore
from persistence.postgres.pool import open_pool
from persistence.summary_tables import SUMMARY_TABLES
from tests.faults.hosts import Line, host_child
from tests.faults.scene import until
from tests.kinds.pot import PayIn, PotTerms, PublicPot

pytestmark = pytest.mark.timeout(180)

PAYERS = range(2_000, 2_008)
EACH = 40
USD = 1_000_000
HOUR_MS = 3_600_000
KILLS = 2


def pay_in(pot: int, user: int, number: int) -> Command:
    return command(pot, "pot", PayIn(user, USD, f"{user}-{number}"), (user, f"{user}-{number}"))


async def pay(line: Line, pots: list[int], user: int, acks: dict[tuple[int, int, int], Accepted]) -> None:
    """Pay into each pot in turn, each payment to its certain end."""
    for number in range(EACH):
        pot = pots[number % len(pots)]
        answer: Answer = await line.ask(pay_in(pot, user, number))
        assert isinstance(answer, Accepted), answer
        acks[pot, user, number] = answer


async def test_killed_hosts_lose_no_payment_pay_none_twice_and_hold_what_was_paid(
    engine: SharedEngine, database_url: str
):
    acks: dict[tuple[int, int, int], Accepted] = {}
    async with AsyncExitStack() as stack:
        pool = await open_pool(database_url, size_max=2)
        stack.push_async_callback(pool.close)
        log = EventLog(database_url, SUMMARY_TABLES, pool_max=2)
        await log.open()
        stack.push_async_callback(log.close)
        now_ms = time.time_ns() // 1_000_000
        await fund(pool, PAYERS, now_ms)
        pots = [row[0] for row in await pool.fetch("SELECT next_id() FROM generate_series(1, 3)")]
        hosts = [
            await stack.enter_async_context(host_child(f"kinds-{n}", database_url, engine.redis_url))
            for n in range(KILLS + 1)
        ]
        await hosts[0].take_all()
        line = Line(hosts[0])
        stack.callback(line.close)
        for pot in pots:
            terms = msgspec.Raw(encode(PotTerms(pot, now_ms + HOUR_MS)))
            assert isinstance(await line.ask(Open(pot, "pot", terms)), StateAnswer)
        payers = [asyncio.create_task(pay(line, pots, user, acks)) for user in PAYERS]
        for life, heir in enumerate(hosts[1:], 1):
            await until(lambda wanted=60 * life: len(acks) >= wanted, "more payments")
            line.child.process.kill()
            await heir.take_all()
            line.child = heir
        await asyncio.gather(*payers)
        # The same keys again, on a host that has the first of them only from the log.
        for (pot, user, number), ack in acks.items():
            assert await line.ask(pay_in(pot, user, number)) == msgspec.structs.replace(ack, duplicate=True)
        broke = await line.ask(command(pots[0], "pot", PayIn(9, USD, "k"), (9, "k")))
        assert isinstance(broke, Refused)
        assert broke.code == "insufficient_funds"
        for pot in pots:
            answer = await line.ask(GetState(pot, "pot"))
            assert isinstance(answer, StateAnswer)
            paid = sum(USD for of, _, _ in acks if of == pot)
            assert msgspec.msgpack.decode(answer.state, type=PublicPot).total == paid
            held = await Ledger(pool).held_for([held_for("pot", pot)], "USDC")
            assert sum(hold.amount for hold in held) == paid
            assert await EntityHistory(pool).kind(pot) == "pot"
        await verified(log, pots, acks)


async def verified(log: EventLog, pots: list[int], acks: dict[tuple[int, int, int], Accepted]) -> None:
    """The log of each has every payment once, where the ack said, and follows from the rules."""
    snapshots = SnapshotStore(log.pool)
    for pot in pots:
        snapshot = await snapshots.load(pot)
        claims = [] if snapshot is None else [SnapshotClaim(snapshot.seq, snapshot.hash, snapshot.state)]
        verifier = LogVerifier(kind_of("pot"), pot, claims)
        rows = await log.tail(pot, 0)
        for row in rows:
            verifier.feed(LogRow(row.seq, row.epoch, row.at, row.command_key, row.body, row.hash))
        assert verifier.finish().findings == ()
        places = {ack.seq for (of, _, _), ack in acks.items() if of == pot}
        assert places == {row.seq for row in rows if row.command_key is not None}
