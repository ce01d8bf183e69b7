import asyncio
from collections.abc import Sequence

import msgspec
from solders.keypair import Keypair

from actors.workers.custody.card_deposits import FollowCards
from chain.wallets.cipher import KeyCipher
from chain.wallets.custody import Wallets
from domain.ids import parse_id
from persistence.identity.store import UserStore
from persistence.notifications.store import Notifications
from persistence.postgres.pool import Pool
from persistence.sales.copies import Copies, NewCopies
from persistence.wallets.cards import (
    CardRefusal,
    Cards,
    CardWithdrawal,
    NewCardWithdrawal,
    card_not_sent,
    card_sent,
)
from persistence.wallets.chain_jobs import add_chain_jobs
from persistence.wallets.custody import CustodialWallets

NOW = 1_800_000_000_000
CIPHER = KeyCipher(lambda: ["s" * 40])
OUTSIDE = str(Keypair().pubkey())


class Chain:
    """Who holds which asset, as of which slot."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.slot = 0

    async def holders(self, assets: Sequence[str]) -> list[tuple[str | None, int]]:
        return [(self.held.get(asset), self.slot) for asset in assets]

    async def in_reach(self, held: Sequence[tuple[str, str, str]]) -> list[bool]:
        return [self.held.get(asset) == wallet for _, asset, wallet in held]


async def person(pool: Pool, name: str) -> tuple[int, str]:
    user = (await UserStore(pool).create(name, f"{name}@example.org", "hash")).user_id
    return user, str(await Wallets(CustodialWallets(pool), CIPHER).custodial_address(user))


async def minted(pool: Pool, owner: int, holder: str, state: str = "minted") -> int:
    """A copy of a new card, on the chain."""
    card = await pool.fetchval(
        "WITH s AS (INSERT INTO card_sets (code, name) SELECT 's' || next_id(), 'Set' RETURNING set_id)"
        " INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at)"
        " SELECT set_id, '1', 'Card', 'rare', 1, $1, $1 FROM s RETURNING card_id",
        NOW,
    )
    made = await Copies(pool).make(NewCopies(card, 1, owner), NOW)
    assert isinstance(made, list)
    job = await pool.fetchval("INSERT INTO chain_jobs (kind, key) VALUES ('mint', $1) RETURNING job_id", str(made[0]))
    await pool.execute(
        "INSERT INTO assets (copy_id, standard, job_id, address, holder, holder_slot, state)"
        " VALUES ($1, 'token-2022', $2, $3, $4, 10, $5)",
        made[0], job, f"asset {made[0]}", holder, state,
    )  # fmt: skip
    return made[0]


async def withdrawn(pool: Pool, copy: int, user: int) -> CardWithdrawal:
    id = await pool.fetchval("SELECT next_id()")
    made = await Cards(pool, add_chain_jobs).withdraw(NewCardWithdrawal(id, copy, user, OUTSIDE), NOW)
    assert isinstance(made, CardWithdrawal), made
    return made


async def place(pool: Pool, copy: int) -> tuple[str, int, str | None]:
    row = await pool.fetchrow(
        "SELECT place, owner_id, holder FROM copies JOIN assets USING (copy_id) WHERE copy_id = $1", copy
    )
    assert row is not None
    return row[0], row[1], row[2]


async def follow(pool: Pool, chain: Chain) -> list[int]:
    """The users who are to be notified now."""
    await pool.execute("DELETE FROM jobs WHERE kind = 'announce_users'")
    await FollowCards(Cards(pool, add_chain_jobs), CustodialWallets(pool), chain, lambda: NOW).run([])
    rows = await pool.fetch("SELECT key FROM jobs WHERE kind = 'announce_users' ORDER BY key")
    return [parse_id(row[0]) for row in rows]


async def test_a_withdrawal_is_one_job_however_often_it_is_requested(pool: Pool):
    ann, address = await person(pool, "ann")
    copy = await minted(pool, ann, address)
    id = await pool.fetchval("SELECT next_id()")
    cards, wanted = Cards(pool, add_chain_jobs), NewCardWithdrawal(id, copy, ann, OUTSIDE)
    first, *others = await asyncio.gather(*(cards.withdraw(wanted, NOW) for _ in range(4)))
    assert isinstance(first, CardWithdrawal)
    assert others == [first] * 3
    jobs = await pool.fetch("SELECT payload FROM chain_jobs WHERE kind = 'card_withdrawal'")
    assert [msgspec.json.decode(row[0]) for row in jobs] == [{"copy": copy, "destination": OUTSIDE, "source_user": ann}]
    assert await place(pool, copy) == ("withdrawn", ann, address)
    second = await cards.withdraw(msgspec.structs.replace(wanted, id=id + 1), NOW)
    assert second == CardRefusal("copy_not_free", copy)


async def test_only_ones_own_free_copies_that_are_in_ones_wallet_can_be_withdrawn(pool: Pool):
    (bob, address), (eve, hers) = await person(pool, "bob"), await person(pool, "eve")
    cards = Cards(pool, add_chain_jobs)
    copy, minting = await minted(pool, bob, address), await minted(pool, bob, address, "minting")
    moving = await minted(pool, bob, hers)
    for wanted, code in (
        (NewCardWithdrawal(1, copy, eve, OUTSIDE), "not_your_copy"),
        (NewCardWithdrawal(2, 777, bob, OUTSIDE), "copy_not_found"),
        (NewCardWithdrawal(3, minting, bob, OUTSIDE), "not_minted"),
        (NewCardWithdrawal(4, moving, bob, OUTSIDE), "copy_moving"),
    ):
        assert await cards.withdraw(wanted, NOW) == CardRefusal(code, wanted.copy)
    assert await place(pool, copy) == ("free", bob, address)


async def test_a_card_that_was_sent_is_outside_and_comes_back_to_whom_it_was_sent(pool: Pool):
    (cleo, hers), (dan, his) = await person(pool, "cleo"), await person(pool, "dan")
    copy = await minted(pool, cleo, hers)
    sending, chain = await withdrawn(pool, copy, cleo), Chain()
    chain.held, chain.slot = {f"asset {copy}": hers}, 15
    assert await follow(pool, chain) == []
    for expected in ([cleo], []):
        async with pool.acquire() as connection, connection.transaction():
            assert await card_sent(connection, sending.id, "signature", 20, NOW) == expected
    assert await place(pool, copy) == ("withdrawn", cleo, OUTSIDE)
    # A node that lags behind still sees it where it was.
    assert await follow(pool, chain) == []
    chain.held, chain.slot = {f"asset {copy}": OUTSIDE}, 30
    assert await follow(pool, chain) == []
    chain.held, chain.slot = {f"asset {copy}": his}, 40
    assert await follow(pool, chain) == [dan]
    assert await follow(pool, chain) == []
    assert await place(pool, copy) == ("free", dan, his)
    assert [change.reason for change in await Copies(pool).provenance(copy, 0, 10)] == ["made", "deposit"]
    kinds = [one.kind for user in (cleo, dan) for one in await Notifications(pool).page(user, False, None, 10)]
    assert kinds == ["card_withdrawn", "card_deposited"]


async def test_a_card_that_comes_back_to_its_owner_has_no_new_provenance(pool: Pool):
    finn, address = await person(pool, "finn")
    copy = await minted(pool, finn, address)
    sending, chain = await withdrawn(pool, copy, finn), Chain()
    async with pool.acquire() as connection, connection.transaction():
        await card_sent(connection, sending.id, None, 20, NOW)
    chain.held, chain.slot = {f"asset {copy}": address}, 21
    assert await follow(pool, chain) == [finn]
    assert await place(pool, copy) == ("free", finn, address)
    assert len(await Copies(pool).provenance(copy, 0, 10)) == 1
    await withdrawn(pool, copy, finn)


async def test_a_card_that_could_not_be_sent_is_free_again(pool: Pool):
    gus, address = await person(pool, "gus")
    copy = await minted(pool, gus, address)
    sending = await withdrawn(pool, copy, gus)
    for expected in ([gus], []):
        async with pool.acquire() as connection, connection.transaction():
            assert await card_not_sent(connection, sending.id, "frozen", NOW) == expected
            assert await card_sent(connection, sending.id, "late", 20, NOW) == []
    assert await place(pool, copy) == ("free", gus, address)
    (listed,) = await Cards(pool, add_chain_jobs).page(gus, None, 10)
    assert (listed.state, listed.reason) == ("failed", "frozen")
