"""The faucet: thousands of users get money, once each, and no account that pays it out comes near its bound."""

from domain.ledger.currencies import HOUSE_BALANCE_MAX
from domain.ledger.ids import transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.rules import Done
from persistence.identity.store import UserStore
from persistence.ledger.faucet import FAUCETS, FUNDS, faucets_of, fund
from persistence.ledger.store import Ledger
from persistence.postgres.pool import Pool

USERS = 5_000
NOW = 1_800_000_000_000
# So many users may be made on one data directory before the faucet has nothing left to give.
USERS_MIN = 20_000_000


async def test_thousands_of_provisioned_users_get_their_funds_once_each(pool: Pool):
    users = await UserStore(pool).provision([f"bidder-{number}" for number in range(USERS)], None)
    ids = [user.user_id for user in users.values()]
    await fund(pool, ids, NOW)
    await fund(pool, ids, NOW + 1)
    rows = await pool.fetch("SELECT posted, held FROM ledger_accounts WHERE owner_id = ANY($1::bigint[])", ids)
    assert [tuple(row) for row in rows] == [(FUNDS, 0)] * USERS

    paid = await pool.fetch("SELECT -posted FROM ledger_accounts WHERE kind LIKE 'faucet-%'")
    assert len(paid) == FAUCETS
    assert sum(row[0] for row in paid) == USERS * FUNDS
    # The most burdened account is what bounds them all.
    assert USERS * HOUSE_BALANCE_MAX // max(row[0] for row in paid) > USERS_MIN


async def test_a_user_has_one_faucet_account_and_an_old_data_directory_keeps_the_one_it_had(pool: Pool):
    ledger = Ledger(pool)
    [user] = (await UserStore(pool).provision(["ann"], None)).values()
    first = await faucets_of(ledger, [user.user_id], "USDC")
    assert await faucets_of(ledger, [user.user_id], "USDC") == first
    before = (await ledger.accounts([0], "USDC", "faucet"))[0]
    assert before not in first.values()
    mine = (await ledger.accounts([user.user_id], "USDC"))[user.user_id]
    [outcome] = await ledger.execute([Transfer(transfer_id("before"), before, mine, 1, "deposit")], NOW)
    assert isinstance(outcome, Done)
