import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from asyncpg.pool import PoolConnectionProxy
from solders.keypair import Keypair

import actors.workers.custody.deposits as following
from actors.workers.custody.deposits import FollowDeposits, Signature
from actors.workers.notify import AnnounceUsers
from chain.wallets.cipher import KeyCipher
from chain.wallets.custody import Wallets
from persistence.chain.rows import ChainJobRow
from persistence.identity.store import UserStore
from persistence.ledger.check import CHECKS, ledger_checker
from persistence.ledger.reading import LedgerReading
from persistence.notifications.store import Notifications
from persistence.postgres.pool import Pool
from persistence.wallets.custody import CustodialWallets
from persistence.wallets.deposits import Arrival, Deposits, FollowedWallet, Read
from tests.job_runs import run_due

NOW = 1_800_000_000_000
CIPHER = KeyCipher(lambda: ["s" * 40])


class Outage(Exception):
    """The chain does not answer."""


class Chain:
    """Final transfers to token accounts, oldest first; ``down`` lets so many more calls through."""

    currency = "USDC"

    def __init__(self) -> None:
        self.transfers: dict[str, list[tuple[Signature, int]]] = {}
        self.swept: set[str] = set()
        self.calls = 0
        self.down_after: int | None = None
        # An endpoint that does not have the older transactions.
        self.short = False

    def account_of(self, wallet: str) -> str:
        return f"account of {wallet}"

    def transfer(self, wallet: str, amount: int, *, failed: bool = False) -> str:
        transfers = self.transfers.setdefault(self.account_of(wallet), [])
        signature = f"s{len(transfers)} {wallet}"
        transfers.append(((signature, len(transfers), failed), amount))
        return signature

    async def balances(self, accounts: Sequence[str]) -> list[int]:
        self._called()
        return [
            0 if account in self.swept else
            sum(amount for one, amount in self.transfers.get(account, []) if not one[2]) for account in accounts
        ]  # fmt: skip

    async def history(self, account: str, before: str | None, until: str | None, limit: int) -> list[Signature]:
        self._called()
        listed = [one for one, _ in reversed(self.transfers.get(account, []))]
        names = [one[0] for one in listed]
        if self.short and before is not None:
            return []
        first = 0 if before is None else names.index(before) + 1
        last = len(names) if until is None else names.index(until)
        return listed[first:last][:limit]

    async def arrived(self, signature: str, account: str) -> int:
        self._called()
        if self.short:
            raise Outage
        return next(amount for one, amount in self.transfers[account] if one[0] == signature)

    def _called(self) -> None:
        self.calls += 1
        if self.down_after is not None and self.calls > self.down_after:
            raise Outage


async def wallet(pool: Pool, name: str) -> tuple[int, str]:
    user = (await UserStore(pool).create(name, f"{name}@example.org", "hash")).user_id
    return user, str(await Wallets(CustodialWallets(pool), CIPHER).custodial_address(user))


def follower(pool: Pool, chain: Chain) -> FollowDeposits:
    return FollowDeposits(Deposits(pool), chain, lambda: NOW)


async def posted(pool: Pool, user: int) -> int:
    return sum(row.posted for row in await LedgerReading(pool).balances(user))


async def test_what_arrived_is_credited_once_however_often_it_is_seen(pool: Pool, database_url: str):
    ann, address = await wallet(pool, "ann")
    chain = Chain()
    chain.transfer(address, 500)
    chain.transfer(address, 700, failed=True)
    chain.transfer(address, 30)
    for _ in range(3):
        await follower(pool, chain).run([])
    assert await posted(pool, ann) == 530
    announced = list[bytes]()
    await run_due(pool, AnnounceUsers(lambda _channel, message: announced.append(message)))
    assert [msgspec.msgpack.decode(message) for message in announced] == [[ann]]
    chain.transfer(address, 7)
    await asyncio.gather(*(follower(pool, chain).run([]) for _ in range(4)))
    assert await posted(pool, ann) == 537
    listed = await Deposits(pool).page(ann, None, 10)
    assert [deposit.amount for deposit in listed] == [7, 30, 500]
    assert await Deposits(pool).page(ann, listed[0].id, 1) == listed[1:2]
    kinds = [one.kind for one in await Notifications(pool).page(ann, False, None, 10)]
    assert kinds == ["deposit"] * 3
    async with ledger_checker(database_url) as checker:
        assert not any([(await checker.findings(one))[0] for one in CHECKS])


async def test_outgoing_transfers_are_no_deposits(pool: Pool):
    bob, address = await wallet(pool, "bob")
    chain = Chain()
    for amount in (100, -40, 0, 5):
        chain.transfer(address, amount)
    await follower(pool, chain).run([])
    assert await posted(pool, bob) == 105


async def test_a_long_history_is_read_over_several_runs(pool: Pool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "SIGNATURES_PAGE", 3)
    monkeypatch.setattr(following, "SIGNATURE_PAGES_PER_RUN", 2)
    cleo, address = await wallet(pool, "cleo")
    chain = Chain()
    for _ in range(20):
        chain.transfer(address, 1)
    job = follower(pool, chain)
    await job.run([])
    assert 0 < await posted(pool, cleo) < 20
    chain.transfer(address, 100)
    chain.swept.add(chain.account_of(address))
    for _ in range(4):
        await job.run([])
    assert await posted(pool, cleo) == 20
    chain.swept.clear()
    await job.run([])
    assert await posted(pool, cleo) == 120


@pytest.mark.parametrize("calls", range(12))
async def test_an_outage_at_any_call_loses_and_doubles_nothing(pool: Pool, calls: int):
    user, address = await wallet(pool, f"dan{calls}")
    chain = Chain()
    for _ in range(5):
        chain.transfer(address, 10)
    chain.down_after = calls

    async def run_often() -> None:
        for _ in range(50):
            await follower(pool, chain).run([])

    with pytest.raises(Outage):
        await run_often()
    chain.down_after = None
    await follower(pool, chain).run([])
    assert await posted(pool, user) == 50


async def test_an_endpoint_without_the_older_transactions_does_not_end_the_reading(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(following, "SIGNATURES_PAGE", 2)
    monkeypatch.setattr(following, "SIGNATURE_PAGES_PER_RUN", 1)
    user, address = await wallet(pool, "jim")
    chain = Chain()
    for _ in range(5):
        chain.transfer(address, 10)
    job = follower(pool, chain)
    await job.run([])
    chain.short = True
    with pytest.raises(Outage):
        await job.run([])
    chain.short = False
    for _ in range(3):
        await job.run([])
    assert await posted(pool, user) == 50


async def test_watched_wallets_are_looked_at_first(pool: Pool):
    edda, address = await wallet(pool, "edda")
    deposits = Deposits(pool)
    assert await deposits.watched(NOW, 10) == []
    await deposits.watch(edda, NOW + 1_000)
    await deposits.watch(edda, NOW + 500)
    assert await deposits.watched(NOW + 999, 10) == [FollowedWallet(edda, address)]
    assert await deposits.watched(NOW + 1_000, 10) == []


async def test_a_slow_reader_does_not_move_the_position_back(pool: Pool):
    finn, address = await wallet(pool, "finn")
    deposits, stale = Deposits(pool), FollowedWallet(finn, address)
    assert await deposits.credit(stale, [Arrival("s2", "a", 5, 2)], Read("s2"), "USDC", NOW) == 1
    assert await deposits.credit(stale, [Arrival("s1", "a", 4, 1)], Read("s1"), "USDC", NOW) == 1
    assert list(await deposits.wallets(finn - 1, 1)) == [FollowedWallet(finn, address, "s2")]
    assert await posted(pool, finn) == 9


async def test_what_arrived_is_moved_to_the_treasury_in_the_same_transaction(pool: Pool):
    gus, address = await wallet(pool, "gus")
    added: list[ChainJobRow] = []

    async def add(_connection: PoolConnectionProxy, jobs: Sequence[ChainJobRow]) -> None:
        added.extend(jobs)

    treasury = str(Keypair().pubkey())
    deposits = Deposits(pool, add, treasury)
    arrival = Arrival("signature", "account", 5, 2)
    for _ in range(2):
        await deposits.credit(FollowedWallet(gus, address), [arrival], Read("signature"), "USDC", NOW)
    (job,) = added
    assert job.kind == "sweep"
    assert msgspec.json.decode(job.payload) == {
        "currency": "USDC", "amount": 5, "destination": treasury, "source_user": gus
    }  # fmt: skip


async def test_the_same_transaction_may_pay_two_wallets(pool: Pool):
    (hal, his), (ida, hers) = await wallet(pool, "hal"), await wallet(pool, "ida")
    deposits = Deposits(pool)
    for user, address in ((hal, his), (ida, hers)):
        arrival = Arrival("one signature", f"account of {address}", 5, 2)
        assert await deposits.credit(FollowedWallet(user, address), [arrival], Read("x"), "USDC", NOW) == 1
    assert [await posted(pool, user) for user in (hal, ida)] == [5, 5]
