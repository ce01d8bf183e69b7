"""Counts of the catalog: exact up to 10,000 cards, beyond it estimates that are near, on the real PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.catalog.rows import CardRow
from persistence.catalog.counting import COUNTED_MAX, CatalogCounting, Count
from persistence.catalog.query import RANKED_MAX
from persistence.catalog.reading import CatalogReading, Wanted
from persistence.catalog.writing import CatalogWriting, Written
from persistence.postgres.pool import Pool, open_pool

CARDS = 30_000
SETS = 60


def many() -> list[CardRow]:
    """In each thousand the same."""
    return [
        CardRow(f"many-{n % SETS:02}", f"{n // SETS}", f"Card {n}", "common" if n % 5 else "rare",
                traits={"type": ("fire", "water")[n % 2], "group": f"g{n % 300}"})
        for n in range(CARDS)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def filled(database_url: str) -> str:
    """A database with many cards, one in ten of them for sale, at prices from 0.5 USDC on."""

    async def fill() -> None:
        pool = await open_pool(database_url, size_max=1)
        rows, writing = many(), CatalogWriting(pool)
        for start in range(0, CARDS, 10_000):
            assert await writing.put(rows[start : start + 10_000], 0, 1) == Written(10_000, 0, 0)
        await pool.execute(
            "INSERT INTO card_market SELECT card_id, 1, 500000 * (1 + number::bigint % 2), 5, 5 FROM cards "
            "WHERE set_id IN (SELECT set_id FROM card_sets WHERE code < 'many-06')"
        )
        await writing.settle()
        await pool.execute("ANALYZE card_market")
        await pool.close()

    asyncio.run(fill())
    return database_url


@pytest.fixture
async def pool_of_many(filled: str) -> AsyncIterator[Pool]:
    pool = await open_pool(filled, size_max=4)
    yield pool
    await pool.close()


def true_counts(wanted: Wanted) -> dict[str, Counter[Any]]:
    """What a plain look at all rows says."""
    found = [
        row for row in many()
        if wanted.rarity in (None, row.rarity) and wanted.set in (None, row.set)
        and all(row.traits[name] == value for name, value in wanted.traits)
    ]  # fmt: skip
    return {
        "total": Counter({"": len(found)}),
        "open": Counter({"": sum(row.set < f"many-{SETS // 10:02}" for row in found)}),
        "set": Counter(row.set for row in found),
        "rarity": Counter(row.rarity for row in found),
        "trait": Counter(pair for row in found for pair in row.traits.items()),
    }


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(rarity="rare"), Wanted(set="many-07"), Wanted(traits=(("group", "g7"),)), Wanted(rarity="none such"),
        Wanted(rarity="rare", traits=(("type", "fire"),)), Wanted(set="many-00", rarity="common"),
        Wanted(set="nowhere"),
    ],
    ids=str,
)  # fmt: skip
async def test_up_to_ten_thousand_cards_every_count_is_exact(pool_of_many: Pool, wanted: Wanted):
    counting = CatalogCounting(pool_of_many)
    query = await CatalogReading(pool_of_many).query(wanted)
    facets, market = await counting.facets(query)
    true = true_counts(wanted)
    assert facets.total == await counting.total(query) == Count(true["total"][""], False)
    assert {code: count for _, code, count in facets.set} == dict(true["set"].most_common(50))
    assert {rarity: count for _, rarity, count in facets.rarity} == true["rarity"]
    frequent = sorted(true["trait"].items(), key=lambda one: (-one[1], one[0]))[:50]
    assert facets.trait == [(name, value, count) for (name, value), count in frequent]
    assert market == await counting.market(query, facets.total)
    assert (market.open, sum(market.prices)) == (Count(true["open"][""], False), true["open"][""])


def near(count: int) -> Any:
    """By one card in sixteen, chosen by chance: six standard deviations, so that chance fails no test."""
    return pytest.approx(count, rel=6 / (count / 16) ** 0.5)


@pytest.mark.parametrize(
    "wanted", [Wanted(), Wanted(rarity="common"), Wanted(traits=(("type", "fire"),)), Wanted(q="card")], ids=str
)
async def test_beyond_it_counts_are_estimates_say_so_and_are_near(pool_of_many: Pool, wanted: Wanted):
    counting = CatalogCounting(pool_of_many)
    query = await CatalogReading(pool_of_many).query(wanted)
    facets, market = await counting.facets(query)
    true = true_counts(wanted)
    assert facets.total == await counting.total(query)
    assert facets.total.estimate
    assert facets.total.count == near(true["total"][""])
    for _, rarity, count in facets.rarity:
        assert count == near(true["rarity"][rarity])
    # All that is for sale can be looked at.
    assert (market.open, sum(market.prices)) == (Count(true["open"][""], False), true["open"][""])
    assert market == await counting.market(query, facets.total)


async def test_what_is_for_sale_is_counted_exactly_by_price(pool_of_many: Pool):
    counting, reading = CatalogCounting(pool_of_many), CatalogReading(pool_of_many)
    for wanted, count, prices in (
        (Wanted(status="open"), 3_000, [1_500, 1_500, 0, 0, 0, 0]),
        (Wanted(status="open", rarity="rare"), 1_000, [500, 500, 0, 0, 0, 0]),
        (Wanted(min_price=500_001), 1_500, [0, 1_500, 0, 0, 0, 0]),
        (Wanted(max_price=500_000, set="many-00"), 250, [250, 0, 0, 0, 0, 0]),
    ):
        query = await reading.query(wanted)
        facets, market = await counting.facets(query)
        assert facets.total == await counting.total(query) == Count(count, False)
        assert (market.open, market.prices) == (Count(count, False), prices)
        assert market == await counting.market(query, facets.total)


async def test_a_little_above_ten_thousand_is_an_estimate_above_ten_thousand(pool_of_many: Pool):
    for rarity, count in (("just enough", COUNTED_MAX), ("one more", COUNTED_MAX + 1)):
        await pool_of_many.execute(
            "UPDATE cards SET rarity = $1 WHERE card_id IN (SELECT card_id FROM cards WHERE rarity = 'common' "
            "ORDER BY card_id LIMIT $2)", rarity, count,
        )  # fmt: skip
        query = await CatalogReading(pool_of_many).query(Wanted(rarity=rarity))
        total = await CatalogCounting(pool_of_many).total(query)
        facets, _ = await CatalogCounting(pool_of_many).facets(query)
        assert facets.total == total
        if count <= COUNTED_MAX:
            assert total == Count(COUNTED_MAX, False)
            assert facets.rarity == [(rarity, rarity, COUNTED_MAX)]
        else:
            assert total.estimate
            assert total.count > COUNTED_MAX
        await pool_of_many.execute("UPDATE cards SET rarity = 'common' WHERE rarity = $1", rarity)


async def test_relevance_ranks_the_newest_that_match_always_the_same(pool_of_many: Pool):
    reading = CatalogReading(pool_of_many)
    query = await reading.query(Wanted(q="card"))
    newest = await pool_of_many.fetch("SELECT card_id FROM cards ORDER BY card_id DESC LIMIT $1", RANKED_MAX)
    seen: list[int] = []
    after = None
    while page := await reading.page(query, "relevance", after, 100):
        seen += [card.id for card in page]
        after = (page[-1].place, page[-1].id)
        # Another order of the table's rows changes nothing.
        await pool_of_many.execute("UPDATE cards SET updated_at = updated_at + 1 WHERE card_id = $1", page[0].id)
    assert len(seen) == RANKED_MAX
    assert set(seen) == {row[0] for row in newest}
