"""The ledger in PostgreSQL does what the pure rules say, and holds under races."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_strategies import NOW, USERS, name, orders_over, reserves_of
from msgspec.structs import replace

from domain.ledger.books import Account, Books, apply, opened
from domain.ledger.currencies import AMOUNT_MAX
from domain.ledger.ids import held_for_auction, transfer_id
from domain.ledger.orders import Expire, Order, Pend, Post, Transfer, Void
from domain.ledger.refusals import Refusal
from domain.ledger.rules import Done, Outcome, Reserve, balance_check, decide_all, reserve
from persistence.ledger.store import BATCH_MAX, HeldFor, Ledger
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import Pool, close_pool, open_pool

_numbers = itertools.count(1)


def new_owners(count: int) -> list[int]:
    first = next(_numbers) * 1000
    return list(range(first, first + count))


def new_id() -> bytes:
    return transfer_id("test", next(_numbers))


async def funded(pool: Pool, *funds: int) -> tuple[int, list[int], list[int]]:
    """The faucet's account, new owners, and their accounts with these funds."""
    ledger, owners = Ledger(pool), new_owners(len(funds))
    faucet = (await ledger.accounts([0], "USDC", "faucet"))[0]
    accounts = [(await ledger.accounts(owners, "USDC"))[owner] for owner in owners]
    deposits = [Transfer(new_id(), faucet, a, f, "deposit") for a, f in zip(accounts, funds, strict=True) if f]
    outcomes = await ledger.execute(deposits, NOW)
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    return faucet, owners, accounts


async def stored(pool: Pool, accounts: Sequence[int]) -> dict[int, Account]:
    rows = await pool.fetch(
        "SELECT account_id, owner_id, currency, may_overdraw, hash, posted, held, seq FROM ledger_accounts"
        " WHERE account_id = ANY($1::bigint[])",
        accounts,
    )
    return {row[0]: Account(*row) for row in rows}


async def available(pool: Pool, account: int) -> int:
    return (await stored(pool, [account]))[account].available


async def sum_of_all(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT sum(posted) FROM ledger_accounts"))


def codes(outcomes: Sequence[Outcome]) -> list[str]:
    return [o.code if isinstance(o, Refusal) else "duplicate" if o.duplicate else "done" for o in outcomes]


async def test_accounts_are_opened_once_however_many_ask(pool: Pool):
    owners = new_owners(20)
    opened_now = await asyncio.gather(*(Ledger(pool).accounts(owners, "USDC") for _ in range(6)))
    assert all(accounts == opened_now[0] for accounts in opened_now)
    account = opened_now[0][owners[3]]
    assert (await stored(pool, [account]))[account] == opened(account, owners[3], "USDC")


async def test_a_transfer_moves_money_and_leaves_its_hashes(pool: Pool):
    _faucet, _, (ann, bob) = await funded(pool, 100, 0)
    before = await stored(pool, [ann, bob])
    order = Transfer(new_id(), ann, bob, 30, "sale", 7)
    (outcome,) = await Ledger(pool).execute([order], NOW + 1)
    assert isinstance(outcome, Done)
    expected = apply(Books(before), outcome.recorded).accounts
    assert await stored(pool, [ann, bob]) == expected
    assert await sum_of_all(pool) == 0


# Accounts and owners by number, the last of the owners has no account: the database gives them their ids.
PLACES = range(USERS + 1)
rehearsal = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.tuples(st.lists(orders_over(list(PLACES)), min_size=1, max_size=8), st.booleans())
        | st.lists(reserves_of(list(PLACES)), min_size=1, max_size=8),
    ),
    max_size=6,
)


@given(batches=rehearsal)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_database_decides_as_the_rules_do(pool: Pool, batches: list[Any]):
    await rehearse(pool, batches)


A, B, C, D = (name(number) for number in range(1, 5))
# The place of an owner without an account.
A0, A1 = held_for_auction(0), held_for_auction(1)
NOBODY = USERS
# Every boundary of the rules: just there, and one beyond. Each user has 50 to begin with.
BOUNDARIES: dict[str, list[Any]] = {
    "the whole balance": [(0, ([Transfer(A, 1, 2, 51, "sale"), Transfer(B, 1, 2, 50, "sale")], False))],
    "what is held": [(0, ([Pend(A, 1, 2, 50, "sale"), Transfer(B, 1, 2, 1, "sale"), Void(C, A)], False))],
    "a pending transfer's amount": [(0, ([Pend(A, 1, 2, 9, "sale"), Post(B, A, 10), Post(C, A, 9)], False))],
    "an expiry that has come": [(0, ([Pend(A, 1, 2, 9, "sale", None, NOW)], False))],
    "an expiry that comes next": [(0, ([Pend(B, 1, 2, 9, "sale", None, NOW + 1)], False))],
    "the last moment to post": [
        (0, ([Pend(A, 1, 2, 9, "sale", None, NOW + 5)], False)), (4, ([Expire(B, A), Post(C, A)], False)),
    ],
    "the first moment to expire": [
        (0, ([Pend(A, 1, 2, 9, "sale", None, NOW + 5)], False)), (5, ([Post(B, A), Expire(C, A), Expire(C, A)], False)),
    ],
    "the largest balance": [
        (0, ([Transfer(A, 0, 1, AMOUNT_MAX - 50, "sale"), Transfer(B, 2, 1, 1, "sale")], False)),
        (0, ([Pend(C, 2, 1, 1, "sale"), Post(D, C)], False)),
    ],
    "a set with one that is refused": [(0, ([Transfer(A, 1, 2, 50, "sale"), Transfer(B, 1, 2, 1, "sale")], True))],
    "a set that comes again": [(0, ([Transfer(A, 1, 2, 50, "sale"), Transfer(B, 2, 3, 99, "sale")], True))] * 2,
    "a hold of the whole balance": [(0, [Reserve(A0, 1, 51), Reserve(A0, 1, 50)])],
    "a hold that is raised to the whole balance": [
        (0, [Reserve(A0, 1, 30), Reserve(A0, 1, 50), Reserve(A1, 1, 1)])
    ],
    "the whole balance, asked for in each of two auctions": [
        (0, [balance_check(A0, 1, 50), balance_check(A1, 1, 50)]),
        (0, [balance_check(A0, 1, 51), balance_check(A1, 1, 50)]),
    ],
    "what a hold leaves, asked for": [
        (0, [Reserve(A0, 1, 30), balance_check(A1, 1, 20)]),
        (0, [balance_check(A1, 1, 20), balance_check(A0, 1, 50)]),
        (0, [balance_check(A1, 1, 21), balance_check(A0, 1, 51)]),
    ],
    "holds of one balance that are only together too much": [
        (0, [Reserve(A0, 1, 30), Reserve(A1, 1, 21), Reserve(A0, 2, 50)])
    ],
    "what is released and raised again": [
        (0, [Reserve(A0, 1, 30), Reserve(A1, 1, 20)]),
        (0, [Reserve(A0, 1, 0, 0, 30), Reserve(A0, 1, 40)]),
        (0, [Reserve(A1, 1, 0, 0, 20)]),
        (0, [Reserve(A0, 1, 0, 0, 45), Reserve(A0, 1, 20)]),
        (0, [Reserve(A0, 1, 0, 0, 10), Reserve(A0, 1, 15)]),
        (0, [Reserve(A0, 1, 0, 0), Reserve(A0, 1, 50)]),
    ],
    "a hold and an ask of somebody without an account": [
        (0, [Reserve(A0, NOBODY, 1), Reserve(A0, 1, 1)]),
        (0, [balance_check(A0, NOBODY, 1), Reserve(A0, 1, 2)]),
        (0, [balance_check(A1, NOBODY, 0), Reserve(A0, NOBODY, 0, 0)]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("boundary", BOUNDARIES)
async def test_the_database_decides_as_the_rules_do_at(pool: Pool, boundary: str):
    await rehearse(pool, BOUNDARIES[boundary])


async def rehearse(pool: Pool, batches: list[Any]) -> None:
    """Give the same to the database and to the rules, and compare each answer, balance, hash and hold."""
    faucet, owners, users = await funded(pool, *[50] * USERS)
    accounts, owners = [faucet, *users], [*owners, 999]
    ledger, books = Ledger(pool), Books(await stored(pool, accounts))
    renamed = Renamed(next(_numbers), accounts)
    for later_ms, batch in batches:
        if isinstance(batch, tuple):
            orders, together = [renamed(order) for order in batch[0]], batch[1]
            books, expected = decide_all(books, orders, NOW + later_ms, together=together)
            assert await ledger.execute(orders, NOW + later_ms, together=together) == expected
        else:
            wanted = [replace(c, reference=renamed.name(c.reference), owner=owners[c.owner]) for c in batch]
            books, refusals = covered(books, wanted)
            assert await ledger.reserve(wanted, "USDC") == refusals
        assert await stored(pool, accounts) == books.accounts
    held = await pool.fetch(
        "SELECT reference, account_id, amount FROM ledger_holds WHERE account_id = ANY($1::bigint[])", users
    )
    assert {(row[0], row[1]): row[2] for row in held} == {
        key: hold.amount for key, hold in books.holds.items() if key[1] != faucet
    }


class Renamed:
    """Orders of a rehearsal, with the accounts of this run and ids that no other run has."""

    def __init__(self, run: int, accounts: list[int]) -> None:
        self._run = run
        self._accounts = accounts

    def name(self, id: bytes) -> bytes:
        return transfer_id("rehearsal", self._run, id)

    def __call__(self, order: Order) -> Order:
        if isinstance(order, (Transfer, Pend)):
            debit, credit = self._accounts[order.debit], self._accounts[order.credit]
            return replace(order, id=self.name(order.id), debit=debit, credit=credit)
        return replace(order, id=self.name(order.id), pending=self.name(order.pending))


def covered(books: Books, wanted: Sequence[Reserve]) -> tuple[Books, dict[int, Refusal]]:
    refusals = {}
    for place, want in enumerate(wanted):
        account = next((a for a in books.accounts.values() if a.owner == want.owner), None)
        books, refusal = reserve(books, want, account)
        if refusal is not None:
            refusals[place] = refusal
    return books, refusals


async def test_a_batch_beyond_its_bound_is_refused_before_anything_is_sent(pool: Pool):
    with pytest.raises(ValueError, match="at most"):
        await Ledger(pool).execute([Void(new_id(), new_id())] * (BATCH_MAX + 1), NOW)
    with pytest.raises(ValueError, match="at most"):
        await Ledger(pool).reserve([Reserve(new_id(), 1, 1)] * (BATCH_MAX + 1), "USDC")


async def test_of_many_who_spend_one_balance_at_once_as_many_succeed_as_it_covers(database_url: str):
    pool = await open_pool(database_url, size_max=12)
    try:
        _, _, (ann, bob) = await funded(pool, 100, 0)
        orders = [Transfer(new_id(), ann, bob, 30, "sale") for _ in range(12)]
        outcomes = await asyncio.gather(*(Ledger(pool).execute([order], NOW) for order in orders))
        assert (
            sorted(code for outcome in outcomes for code in codes(outcome)) == ["done"] * 3 + ["insufficient_funds"] * 9
        )
        assert (await available(pool, ann), await available(pool, bob)) == (10, 90)
    finally:
        await close_pool(pool)


async def test_of_many_who_send_the_same_transfer_at_once_one_does_it(database_url: str):
    pool = await open_pool(database_url, size_max=12)
    try:
        _, _, (ann, bob) = await funded(pool, 100, 0)
        order = Transfer(new_id(), ann, bob, 30, "sale")
        outcomes = await asyncio.gather(*(Ledger(pool).execute([order], NOW) for _ in range(12)))
        assert sorted(code for outcome in outcomes for code in codes(outcome)) == ["done"] + ["duplicate"] * 11
        assert await available(pool, ann) == 70
    finally:
        await close_pool(pool)


async def test_of_many_who_take_one_id_for_different_accounts_one_gets_it(database_url: str):
    pool = await open_pool(database_url, size_max=8)
    try:
        _faucet, _, users = await funded(pool, *[50] * 16)
        id = new_id()
        pairs = [(users[n], users[n + 1]) for n in range(0, 16, 2)]
        outcomes = await asyncio.gather(
            *(Ledger(pool).execute([Transfer(id, debit, credit, 10, "sale")], NOW) for debit, credit in pairs)
        )
        assert sorted(code for outcome in outcomes for code in codes(outcome)) == ["done"] + ["transfer_id_reused"] * 7
        assert sum([await available(pool, user) for user in users]) == 16 * 50
    finally:
        await close_pool(pool)


@pytest.mark.parametrize("rounds", [8])
async def test_batches_over_the_same_accounts_in_any_order_neither_deadlock_nor_lose_money(
    database_url: str, rounds: int
):
    pool = await open_pool(database_url, size_max=8)
    try:
        _, owners, users = await funded(pool, *[1_000] * 12)
        dice, auction = random.Random(7), held_for_auction(next(_numbers))

        async def spender() -> None:
            for _ in range(rounds):
                pairs = [dice.sample(users, 2) for _ in range(40)]
                orders: list[Order] = [Transfer(new_id(), a, b, dice.randint(1, 200), "sale") for a, b in pairs]
                orders += [Pend(new_id(), a, b, dice.randint(1, 50), "sale") for a, b in pairs[:10]]
                orders += [dice.choice([Post, Void])(new_id(), o.id) for o in orders[40:]]
                await Ledger(pool).execute(orders, NOW)

        async def holder() -> None:
            for _ in range(rounds):
                wanted = [Reserve(auction, owner, dice.randint(0, 300)) for owner in dice.sample(owners, 8)]
                await Ledger(pool).reserve(wanted + [Reserve(auction, w.owner, 0, 0) for w in wanted[:4]], "USDC")

        async with asyncio.timeout(60):
            await asyncio.gather(*(spender() for _ in range(4)), *(holder() for _ in range(4)))
        accounts = (await stored(pool, users)).values()
        assert sum(account.posted for account in accounts) == 12_000
        assert all(account.available >= 0 for account in accounts)
        held = {h.owner: h.amount for h in await Ledger(pool).held_for([auction], "USDC")}
        assert {account.owner: account.held for account in accounts if account.held} == held
    finally:
        await close_pool(pool)


async def test_holds_are_for_all_auctions_against_one_balance_and_can_be_read_back(pool: Pool):
    _, (ann, bob), accounts = await funded(pool, 100, 50)
    one, two = held_for_auction(next(_numbers)), held_for_auction(next(_numbers))
    ledger = Ledger(pool)
    wanted = [Reserve(one, ann, 60), Reserve(two, ann, 60), Reserve(two, bob, 50), Reserve(one, ann, 100)]
    assert await ledger.reserve(wanted, "USDC") == {1: Refusal("insufficient_funds", 40, 60)}
    assert await ledger.held_for([one, two], "USDC") == [HeldFor(one, ann, 100), HeldFor(two, bob, 50)]
    # Sent again, as after a crash: the same.
    assert await ledger.reserve([wanted[0], *wanted[2:]], "USDC") == {}
    assert await available(pool, accounts[0]) == 0
    # Outbid in one auction, and at once leading in the other: one statement.
    assert await ledger.reserve([Reserve(one, ann, 0, 0), Reserve(two, ann, 70)], "USDC") == {}
    assert await ledger.held_for([one, two], "USDC") == [HeldFor(two, ann, 70), HeldFor(two, bob, 50)]
    # What the auction's log says, exactly.
    assert await ledger.reserve([Reserve(two, ann, 65, 65), Reserve(two, bob, 0, 0)], "USDC") == {}
    assert await ledger.held_for([two], "USDC") == [HeldFor(two, ann, 65)]


async def test_what_is_only_asked_for_waits_for_nobody_and_leaves_everything_as_it_was(pool: Pool):
    _, (ann, bob), accounts = await funded(pool, 100, 100)
    reference = held_for_auction(next(_numbers))
    assert await Ledger(pool).reserve([Reserve(reference, ann, 60)], "USDC") == {}
    before = await stored(pool, accounts)
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM ledger_accounts WHERE account_id = $1 FOR UPDATE", accounts[0])
        async with asyncio.timeout(20):
            assert (
                await Ledger(pool).reserve(
                    [balance_check(reference, ann, 40), balance_check(reference, bob, 100)], "USDC"
                )
                == {}
            )
    assert await stored(pool, accounts) == before
    assert await Ledger(pool).held_for([reference], "USDC") == [HeldFor(reference, ann, 60)]


async def test_of_many_auctions_that_ask_for_one_balance_at_once_as_many_get_it_as_it_covers(database_url: str):
    pool = await open_pool(database_url, size_max=12)
    try:
        _, (ann,), _ = await funded(pool, 300)
        auctions = [held_for_auction(next(_numbers)) for _ in range(12)]
        answers = await asyncio.gather(*(Ledger(pool).reserve([Reserve(a, ann, 100)], "USDC") for a in auctions))
        assert sorted(len(answer) for answer in answers) == [0] * 3 + [1] * 9
        assert sum(held.amount for held in await Ledger(pool).held_for(auctions, "USDC")) == 300
    finally:
        await close_pool(pool)


async def test_what_is_over_its_time_is_let_go_of_once(pool: Pool):
    _, _, (ann, bob) = await funded(pool, 100, 0)
    short, long = (
        Pend(new_id(), ann, bob, 30, "sale", None, NOW + 10),
        Pend(new_id(), ann, bob, 20, "sale", None, NOW + 20),
    )
    assert codes(await Ledger(pool).execute([short, long], NOW)) == ["done", "done"]
    counts = await asyncio.gather(*(Ledger(pool).expire_due(NOW + 10) for _ in range(3)))
    assert max(counts) >= 1
    assert await Ledger(pool).expire_due(NOW + 10) == 0
    assert await available(pool, ann) == 80
    assert codes(await Ledger(pool).execute([Post(new_id(), short.id)], NOW + 11)) == ["transfer_not_pending"]


async def test_a_batch_that_breaks_off_is_sent_again_and_done_once(pool: Pool):
    _, _, (ann, bob) = await funded(pool, 100, 0)
    orders = [Transfer(new_id(), ann, bob, amount, "sale") for amount in (30, 40)]
    async with pool.acquire() as other:
        lock = other.transaction()
        await lock.start()
        await other.execute("SELECT FROM ledger_accounts WHERE account_id = $1 FOR UPDATE", ann)
        waiting = asyncio.create_task(Ledger(pool).execute(orders, NOW))
        async with asyncio.timeout(20):
            ended = False
            while not ended:
                ended = await pool.fetchval(
                    "SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
        with pytest.raises(StoreUnavailable):
            await waiting
        await lock.rollback()
    assert codes(await Ledger(pool).execute(orders, NOW + 1)) == ["done", "done"]
    assert codes(await Ledger(pool).execute(orders, NOW + 2)) == ["duplicate", "duplicate"]
    assert await available(pool, bob) == 70


async def test_what_is_part_of_a_transaction_goes_with_it(pool: Pool):
    _, _, (ann, bob) = await funded(pool, 100, 0)
    order = Transfer(new_id(), ann, bob, 30, "sale")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert codes(await Ledger(connection).execute([order], NOW)) == ["done"]
        await transaction.rollback()
    assert await available(pool, ann) == 100
    assert codes(await Ledger(pool).execute([order], NOW)) == ["done"]


COPIED = "action, pending_id, debit_account, {credit}, amount, kind, about, at, expires_at, debit_seq + 99,"
COPIED += " debit_posted, debit_held, debit_hash"
COPY = f"INSERT INTO ledger_transfers SELECT decode(repeat('ab', 16), 'hex'), {COPIED}"
WRONG_ROWS: dict[str, str] = {
    "changed": "UPDATE ledger_transfers SET amount = amount + 1 WHERE debit_account = $1",
    "deleted": "DELETE FROM ledger_transfers WHERE debit_account = $1",
    "overdrawn": "UPDATE ledger_accounts SET posted = -1 WHERE account_id = $1",
    "promised twice": "UPDATE ledger_accounts SET held = posted + 1 WHERE account_id = $1",
    "too rich": f"UPDATE ledger_accounts SET posted = {2**53} WHERE account_id = $1",
    "one-sided": COPY.format(credit="credit_account") + " FROM ledger_transfers WHERE debit_account = $1",
    "to itself": COPY.format(credit="debit_account")
    + ", credit_seq + 99, credit_posted, credit_held, credit_hash FROM ledger_transfers WHERE debit_account = $1",
}


@pytest.mark.parametrize("wrong", WRONG_ROWS)
async def test_the_database_itself_refuses_what_can_not_be(pool: Pool, wrong: str):
    _, _, (ann, bob) = await funded(pool, 100, 0)
    await Ledger(pool).execute([Transfer(new_id(), ann, bob, 30, "sale")], NOW)
    with pytest.raises((asyncpg.RestrictViolationError, asyncpg.CheckViolationError)):
        await pool.execute(WRONG_ROWS[wrong], ann)
