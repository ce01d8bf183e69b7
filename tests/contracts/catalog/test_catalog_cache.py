"""What is kept of the catalog in Redis: never what was before a change, and nothing that anyone has to wait for."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from valkey_server import Valkey

from domain.catalog.rows import CardRow
from domain.ids import parse_id
from persistence.catalog import cache as catalog_cache
from persistence.catalog.cache import CatalogCache
from persistence.catalog.files import Read
from persistence.catalog.importing import import_rows
from persistence.catalog.market import CatalogMarket
from tests.rest.rest_engine import RestEngine, rest_engine

CARDS = [
    CardRow("kept", "1", "Charizard", "rare", "Kept", traits={"type": "fire"}),
    CardRow("kept", "2", "Blastoise", "common", "Kept", traits={"type": "water"}),
]
PATHS = ("/catalog/cards", "/catalog/cards?q=charizard", "/catalog/cards?set=kept&sort=name",
         "/catalog/cards?sort=price", "/catalog/cards?status=none", "/catalog/facets",
         "/catalog/facets?rarity=rare", "/catalog/facets?status=open",
         "/catalog/sets")  # fmt: skip


class Watch:
    """Time as a test wants it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def valkey() -> AsyncIterator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="ece-v-") as directory:
        server = Valkey(Path(directory))
        await server.start()
        yield server
        server.kill()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def cache(valkey: Valkey, watch: Watch) -> AsyncIterator[CatalogCache]:
    # Far longer than in an engine: on a machine that is busy Redis may be late, and these tests count hits.
    cache = CatalogCache(valkey.url, watch, answer_within_s=2)
    yield cache
    await cache.close()


@pytest.fixture
async def cached(database_url: str, cache: CatalogCache) -> AsyncIterator[RestEngine]:
    async with rest_engine(database_url, cache=cache) as engine:
        await engine.services.catalog.reading._pool.execute(
            "DELETE FROM card_market; DELETE FROM listed_copies; DELETE FROM copies"
        )
        await engine.services.catalog.writing.put(CARDS, 0, 1_000)
        yield engine


async def answers(engine: RestEngine) -> list[Any]:
    """All of PATHS. The cards are those of this module, whose pages are not full."""
    found = [await engine.request("GET", path) for path in PATHS]
    assert [answer.status_code for answer in found] == [200] * len(PATHS), [answer.text for answer in found]
    return [answer.json() for answer in found]


async def as_read(database_url: str) -> list[Any]:
    """The same without a cache."""
    async with rest_engine(database_url) as engine:
        return await answers(engine)


async def put_up(engine: RestEngine, price: int) -> None:
    """An open auction for Charizard."""
    seller = await engine.person()
    auction = await seller.open_auction(starting_price=price)
    pool = engine.services.catalog.reading._pool
    card = await pool.fetchval("SELECT card_id FROM cards WHERE name = 'Charizard'")
    await pool.execute(
        "INSERT INTO copies (card_id, serial, owner_id, place, locked_by, locked_at, acquired_at) "
        "VALUES ($1, $2, 1, 'listed', $3, 0, 0)",
        card, price, parse_id(auction["id"]),
    )  # fmt: skip
    await pool.execute(
        "INSERT INTO listed_copies SELECT locked_by, copy_id, card_id FROM copies WHERE locked_by = $1",
        parse_id(auction["id"]),
    )
    await CatalogMarket(pool).refresh([card])


async def test_what_is_asked_for_again_comes_from_redis_and_is_the_same(
    database_url: str, cached: RestEngine, cache: CatalogCache
):
    first = await answers(cached)
    assert first == await as_read(database_url)
    hits, misses = cache.hits, cache.misses
    assert await answers(cached) == first
    assert cache.misses == misses
    assert cache.hits > hits + len(PATHS)


async def test_all_pages_of_the_same_cards_have_one_total(cached: RestEngine, cache: CatalogCache):
    page = (await cached.request("GET", "/catalog/cards?set=kept&limit=1")).json()
    assert cache.hits == 0
    path = f"/catalog/cards?set=kept&limit=1&cursor={page['next_cursor']}"
    assert (await cached.request("GET", path)).json()["total"] == page["total"] == {"count": 2, "estimate": False}
    assert (await cached.request("GET", "/catalog/facets?set=kept")).json()["total"] == page["total"]
    assert cache.hits == 2


async def test_searches_that_find_the_same_are_kept_once(cached: RestEngine, cache: CatalogCache):
    await cached.request("GET", "/catalog/cards?q=Charizard%20kept")
    await cached.request("GET", "/catalog/cards?q=%20KEPT,%20charizard%20kept")
    assert (cache.hits, cache.misses) == (2, 2)
    await cached.request("GET", "/catalog/cards?q=charizard")
    assert cache.hits == 2


async def test_every_change_of_a_card_is_seen_by_the_next_who_asks(database_url: str, cached: RestEngine):
    writing = cached.services.catalog.writing
    pool = cached.services.catalog.reading._pool

    async def imported() -> None:
        rows = [CardRow("kept", "1", "Charizard", "mythic", "Kept"), CardRow("more", "1", "Mew", "rare", "More")]
        await import_rows(iter([Read(n, row, n) for n, row in enumerate(rows)]), writing, 2_000)

    async def put_by_an_operator() -> None:
        operator = await cached.person(role="admin")
        body = {"set": "more", "number": "2", "name": "Mewtwo", "rarity": "rare"}
        assert (await operator.post("/admin/catalog/cards", body)).status_code == 201

    async def renamed() -> None:
        await writing.put([CardRow("more", "1", "Mew", "rare", "Even more")], 0, 3_000)

    async def taken_away() -> None:
        await pool.execute("DELETE FROM cards WHERE name = 'Mew'")

    before = await answers(cached)
    for change in (imported, put_by_an_operator, renamed, taken_away):
        await change()
        after = await answers(cached)
        assert after == await as_read(database_url), change.__name__
        assert after != before, change.__name__
        before = after


async def test_every_change_of_the_market_is_seen_and_takes_no_card_out_of_the_cache(
    database_url: str, cached: RestEngine, cache: CatalogCache
):
    await answers(cached)
    hits = cache.hits
    for price in (3_000_000, 400_000):
        await put_up(cached, price)
        found = await answers(cached)
        assert found == await as_read(database_url)
        (charizard,) = found[1]["items"]
        assert charizard["market"]["lowest_price"] == price
        assert found[3]["items"] == [charizard]
        assert [bucket["count"] for bucket in found[5]["price"]] == [int(price < 1_000_000), int(price >= 1_000_000),
                                                                    0, 0, 0, 0]  # fmt: skip
    # Pages, counts and sets that do not depend on auctions stay.
    assert cache.hits - hits == 2 * 10


async def test_a_change_that_is_not_committed_is_neither_shown_nor_kept(database_url: str, cached: RestEngine):
    before = await answers(cached)
    pool = cached.services.catalog.reading._pool
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE cards SET name = 'Missingno' WHERE name = 'Blastoise'")
        assert await answers(cached) == before
        await transaction.commit()
    after = await answers(cached)
    assert after == await as_read(database_url)
    assert after != before


async def test_redis_killed_held_up_or_empty_is_noticed_by_nobody(
    cached: RestEngine, valkey: Valkey, cache: CatalogCache, watch: Watch
):
    before = await answers(cached)
    await valkey.do("FLUSHALL")
    assert await answers(cached) == before
    valkey.pause()
    hits = cache.hits
    assert await answers(cached) == before
    valkey.go_on()
    # Nobody asks it before it had a rest.
    assert await answers(cached) == before
    assert cache.hits == hits
    watch.now_s += catalog_cache.REST_S
    valkey.kill()
    assert await answers(cached) == before
    await valkey.start()
    watch.now_s += catalog_cache.REST_S
    for _ in range(2):
        assert await answers(cached) == before
    assert cache.hits > hits


async def test_a_redis_that_is_silent_costs_one_wait_and_then_none(valkey: Valkey, cache: CatalogCache):
    valkey.pause()
    try:
        assert await cache.get(b"a") is None
        # At rest it is not asked: what would wait for it would be cut off.
        async with asyncio.timeout(30):
            for _ in range(10_000):
                assert await cache.get(b"a") is None
                await cache.put(b"a", b"b")
    finally:
        valkey.go_on()


async def test_an_answer_that_comes_late_is_not_taken_for_another(valkey: Valkey, cache: CatalogCache, watch: Watch):
    await cache.put(b"a", b"of a")
    await cache.put(b"b", b"of b")
    valkey.pause()
    assert await cache.get(b"a") is None
    valkey.go_on()
    watch.now_s += catalog_cache.REST_S
    assert [await cache.get(key) for key in (b"b", b"a", b"b")] == [b"of b", b"of a", b"of b"]


async def test_what_somebody_else_put_into_redis_is_as_good_as_nothing(cached: RestEngine, valkey: Valkey):
    before = await answers(cached)
    keys = await valkey.do("KEYS", "*")
    assert isinstance(keys, list)
    for key in keys:
        await valkey.do("SET", key, "nonsense")
    assert await answers(cached) == before


async def test_entries_are_bounded_in_size_number_and_time(valkey: Valkey, cache: CatalogCache, watch: Watch):
    await cache.put(b"big", b"x" * (catalog_cache.ENTRY_BYTES_MAX + 1))
    assert await cache.get(b"big") is None
    entry = b"x" * catalog_cache.ENTRY_BYTES_MAX
    room = catalog_cache.WRITTEN_BYTES_MAX // len(entry)
    for number in range(room):
        await cache.put(b"%d" % number, entry)
    assert await cache.get(b"%d" % (room - 1)) == entry
    await cache.put(b"more", b"x")
    assert await cache.get(b"more") is None
    watch.now_s += catalog_cache.KEPT_S
    await cache.put(b"more", b"x")
    assert await cache.get(b"more") == b"x"
    left = await valkey.do("TTL", "ece:catalog:2:more")
    assert isinstance(left, int)
    assert 0 < left <= catalog_cache.KEPT_S
