import asyncio

import msgspec
import pytest
from asyncpg.pool import PoolConnectionProxy

from actors.workers.custody.payouts import BeginPayouts
from domain.ids import id_text
from domain.ledger.orders import Transfer
from domain.ledger.withdrawals import Limits, State
from persistence.chain.rows import ChainJobRow
from persistence.identity.store import UserStore
from persistence.ledger.check import CHECKS, ledger_checker
from persistence.ledger.reading import BalanceRow, LedgerReading
from persistence.ledger.store import Ledger
from persistence.ledger.withdrawals import NewWithdrawal, Withdrawal, Withdrawals
from persistence.notifications.store import Notifications
from persistence.postgres.pool import Pool
from persistence.wallets.payouts import Payouts, payout_failed, payout_finished, withdrawal_of

NOW = 1_800_000_000_000
LIMITS = Limits(1_000, 100_000, 500, cool_down_ms=0)


class Jobs:
    """Chain jobs that were added; ``fail`` once, after they were."""

    def __init__(self) -> None:
        self.added: list[ChainJobRow] = []
        self.fail = False

    async def add(self, connection: PoolConnectionProxy, jobs: list[ChainJobRow]) -> None:  # type: ignore[type-arg]
        if self.fail:
            self.fail = False
            raise ConnectionError
        self.added += jobs


async def funded(pool: Pool, name: str, amount: int = 1_000) -> int:
    user = (await UserStore(pool).create(name, f"{name}@example.org", "hash")).user_id
    ledger = Ledger(pool)
    account = (await ledger.accounts([user], "USDC"))[user]
    faucet = (await ledger.accounts([0], "USDC", "faucet"))[0]
    await ledger.execute([Transfer(name.encode().ljust(16), faucet, account, amount, "deposit")], NOW)
    return user


async def requested(pool: Pool, user: int, amount: int) -> Withdrawal:
    id = await pool.fetchval("SELECT next_id()")
    made = await Withdrawals(pool).request(NewWithdrawal(id, user, "USDC", amount, "address"), LIMITS, NOW)
    assert isinstance(made, Withdrawal)
    return made


async def balance(pool: Pool, user: int) -> BalanceRow:
    (row,) = await LedgerReading(pool).balances(user)
    return row


async def consistent(database_url: str) -> bool:
    async with ledger_checker(database_url) as checker:
        return not any([(await checker.findings(one))[0] for one in CHECKS])


async def test_a_withdrawal_that_waits_becomes_one_chain_job_however_many_begin_it(pool: Pool):
    ann, jobs = await funded(pool, "ann"), Jobs()
    small, large = await requested(pool, ann, 100), await requested(pool, ann, 600)
    payouts = Payouts(pool, jobs.add)  # type: ignore[arg-type]
    assert sum(await asyncio.gather(*(payouts.begin() for _ in range(5)))) == 1
    (job,) = jobs.added
    assert (job.kind, job.key) == ("withdrawal", id_text(small.id))
    assert msgspec.json.decode(job.payload) == {
        "currency": "USDC", "amount": 100, "destination": "address", "source_user": None
    }  # fmt: skip
    assert withdrawal_of(job.key) == small.id
    await Withdrawals(pool).decide(large.id, State.WAITING_FOR_CHAIN, 1, NOW)
    await BeginPayouts(payouts).run([])
    assert len(jobs.added) == 2


async def test_without_its_job_it_still_waits_and_can_be_cancelled(pool: Pool):
    bob, jobs = await funded(pool, "bob"), Jobs()
    made = await requested(pool, bob, 100)
    jobs.fail = True
    with pytest.raises(Exception, match=r".*"):
        await Payouts(pool, jobs.add).begin(made.id)  # type: ignore[arg-type]
    cancelled = await Withdrawals(pool).decide(made.id, State.CANCELLED, bob, NOW)
    assert isinstance(cancelled, Withdrawal)
    assert await Payouts(pool, jobs.add).begin(made.id) == 0  # type: ignore[arg-type]


async def test_what_is_being_sent_cannot_be_cancelled(pool: Pool):
    cleo, jobs = await funded(pool, "cleo"), Jobs()
    made = await requested(pool, cleo, 100)
    await Payouts(pool, jobs.add).begin(made.id)  # type: ignore[arg-type]
    refused = await Withdrawals(pool).decide(made.id, State.CANCELLED, cleo, NOW)
    assert not isinstance(refused, Withdrawal)
    assert await balance(pool, cleo) == BalanceRow("USDC", 1_000, 100)


async def test_when_it_is_final_the_money_has_left_once(pool: Pool, database_url: str):
    dan, jobs = await funded(pool, "dan"), Jobs()
    made = await requested(pool, dan, 100)
    await Payouts(pool, jobs.add).begin(made.id)  # type: ignore[arg-type]
    for expected in ([dan], []):
        async with pool.acquire() as connection, connection.transaction():
            assert await payout_finished(connection, made.id, "signature", NOW + 5) == expected
            assert await payout_failed(connection, made.id, "late", NOW + 6) == []
    assert await balance(pool, dan) == BalanceRow("USDC", 900, 0)
    paid = await Withdrawals(pool).get(made.id)
    assert paid is not None
    assert (paid.state, paid.signature, paid.finished_at) == ("paid", "signature", NOW + 5)
    (notification,) = await Notifications(pool).page(dan, False, None, 10)
    assert notification.kind == "withdrawal_paid"
    assert await consistent(database_url)


async def test_if_it_can_never_be_sent_the_money_is_free_again(pool: Pool, database_url: str):
    edda, jobs = await funded(pool, "edda"), Jobs()
    made = await requested(pool, edda, 100)
    await Payouts(pool, jobs.add).begin(made.id)  # type: ignore[arg-type]
    for expected in ([edda], []):
        async with pool.acquire() as connection, connection.transaction():
            assert await payout_failed(connection, made.id, "no such account" * 50, NOW) == expected
            assert await payout_finished(connection, made.id, "late", NOW) == []
    assert await balance(pool, edda) == BalanceRow("USDC", 1_000, 0)
    failed = await Withdrawals(pool).get(made.id)
    assert failed is not None
    assert failed.state == "failed"
    assert len(failed.reason or "") == 200
    assert await consistent(database_url)


async def test_the_end_rolls_back_with_the_transaction_of_the_pool(pool: Pool):
    finn, jobs = await funded(pool, "finn"), Jobs()
    made = await requested(pool, finn, 100)
    await Payouts(pool, jobs.add).begin(made.id)  # type: ignore[arg-type]

    async def finish_and_fail() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await payout_finished(connection, made.id, "signature", NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await finish_and_fail()
    still = await Withdrawals(pool).get(made.id)
    assert still is not None
    assert still.state == "sending"
    assert await balance(pool, finn) == BalanceRow("USDC", 1_000, 100)


async def test_a_payment_that_the_ledger_does_not_have_is_found(pool: Pool, database_url: str):
    gus = await funded(pool, "gus")
    made = await requested(pool, gus, 100)
    await pool.execute("UPDATE ledger_withdrawals SET state = 'paid' WHERE withdrawal_id = $1", made.id)
    assert not await consistent(database_url)
    await pool.execute("UPDATE ledger_withdrawals SET state = 'waiting_for_chain' WHERE withdrawal_id = $1", made.id)
    assert await consistent(database_url)
