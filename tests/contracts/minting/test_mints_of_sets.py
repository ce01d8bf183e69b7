"""A set is minted from copies that its creator still has when they are locked."""

import asyncio
from typing import NamedTuple

import pytest

from domain.errors import NOTHING_TO_MINT
from persistence.minting.requests import MintOrder, MintRefused, MintRequests
from persistence.postgres.pool import Pool
from tests.contracts.minting.custody_scene import NOW, CustodyScene
from tests.contracts.minting.test_custody_moves import until_blocked


class CardSet(NamedTuple):
    """A set of one creator, with a free copy of each card."""

    code: str
    creator: int
    copies: list[int]


async def card_set(pool: Pool, cards: int) -> CardSet:
    creator, code = await CustodyScene(pool).person(), f"set{await pool.fetchval('SELECT next_id()')}"[-20:]
    rows = await pool.fetch(
        "WITH s AS (INSERT INTO card_sets (code, name) VALUES ($1, 'Set') RETURNING set_id), k AS ("
        " INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at)"
        " SELECT set_id, nth::text, 'Card', 'rare', $2, $3, $3 FROM s, generate_series(1, $4::int) AS nth"
        " RETURNING card_id), c AS ("
        " INSERT INTO copies (card_id, serial, owner_id, acquired_at) SELECT card_id, 1, $2, $3 FROM k"
        " RETURNING copy_id), p AS ("
        " INSERT INTO provenance (copy_id, seq, at, reason, to_owner) SELECT copy_id, 1, $3, 'made', $2 FROM c)"
        " SELECT copy_id FROM c ORDER BY copy_id",
        code, creator, NOW, cards,
    )  # fmt: skip
    return CardSet(code, creator, [row[0] for row in rows])


async def minted_while_sold(pool: Pool, wanted: CardSet, sold: int) -> MintRefused | None:
    """Ask for the set while a transaction that has sold this copy is not committed yet."""
    order = MintOrder(await pool.fetchval("SELECT next_id()"), wanted.creator, "token-2022", NOW)
    buyer = await CustodyScene(pool).person()
    async with pool.acquire() as connection:
        sale = connection.transaction()
        await sale.start()
        await connection.execute("UPDATE copies SET owner_id = $1 WHERE copy_id = $2", buyer, sold)
        asking = asyncio.create_task(MintRequests(pool).card_set(order, wanted.code))
        await until_blocked(pool)
        await sale.commit()
    return await asking


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_what_was_sold_meanwhile_is_left_out(pool: Pool, place: int):
    wanted = await card_set(pool, 3)
    assert await minted_while_sold(pool, wanted, wanted.copies[place]) is None
    queued = await pool.fetch("SELECT copy_id FROM assets WHERE copy_id = ANY($1) ORDER BY copy_id", wanted.copies)
    assert [row[0] for row in queued] == [copy for copy in wanted.copies if copy != wanted.copies[place]]


async def test_a_set_of_which_nothing_is_left_is_refused(pool: Pool):
    wanted = await card_set(pool, 1)
    assert await minted_while_sold(pool, wanted, wanted.copies[0]) == MintRefused(NOTHING_TO_MINT)
