"""The catalog alone: import of cards from a file, then facet pages and searches, without the cache and with it."""

import random
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.cells import rate
from bench.definition import Bench, Context, Option, Report, Table
from bench.percentiles import percentile
from persistence.catalog.cache import CatalogCache
from persistence.catalog.files import catalog_file
from persistence.catalog.importing import import_rows
from persistence.catalog.reading import Wanted
from persistence.catalog.view import CatalogView
from persistence.catalog.writing import CatalogWriting
from persistence.postgres.pool import close_pool, open_pool

CARDS = 100_000
CARDS_MAX = 5_000_000
GOAL_IMPORTED_PER_S = 20_000
GOAL_P95_MS = 50
ROUNDS = 80
WARM_UP = 15
NAMES = 150
LIMIT = 24
NOW_MS = 1_800_000_000_000
RARITIES = ("common", "common", "common", "uncommon", "uncommon", "rare", "mythic")
TYPES = ("fire", "water", "grass", "psychic", "lightning", "fighting", "darkness", "metal", "fairy", "dragon")
ARTISTS = 200
NAME_WORDS = 20_000
CARDS_A_SET = 400
FOR_SALE_ONE_IN = 100
FOR_SALE_WITHIN_S = 60.0
# As if their auctions were open.
_FOR_SALE = """
    INSERT INTO card_market SELECT card_id, 1, 100000 + (hashint8extended(card_id, 1) & 1048575) * 1000,
        1900000000000 + card_id % 1000000, 1800000000000
    FROM cards WHERE hashint8extended(card_id, 2) % $1 = 0 ORDER BY card_id
"""
_SYLLABLES = [
    "ba", "ce", "di", "fo", "gu", "ha", "ji", "ka", "lo", "me", "nu", "pi", "qua", "ra", "sho", "ti",
    "vo", "wi", "xe", "yo", "zar", "mon", "dra", "chu", "lith", "nox", "fen", "gar", "mir", "tel",
]  # fmt: skip


CARDS_OPTION = Option(("--cards",), int, CARDS, "CARDS", "Cards in the catalog.", minimum=1_000, maximum=CARDS_MAX)
# (query, what it is)
QUERIES = (
    ("facet_page", "by set, rarity or trait"),
    ("for_sale", "for sale, of a rarity, by price"),
    ("whole_catalog", "no filter"),
    ("search", "a name of two words"),
    ("word_search", "a word of a tenth of all cards"),
    ("typo_search", "a name with one letter missing"),
)


async def measure_catalog(
    database_url: str, redis_url: str, cards: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Figures of the import, of pages and of searches. Writes to the database: give it a fresh one."""
    pool = await open_pool(database_url, size_max=1)
    cache = CatalogCache(redis_url)
    try:
        with tempfile.TemporaryDirectory(prefix="ece-bench-catalog-") as folder:
            progress(f"writing a file of {cards:,} cards")
            names = _write(Path(folder) / "cards.jsonl", cards)
            progress("importing it")
            began = time.perf_counter()
            with catalog_file(Path(folder) / "cards.jsonl") as rows:
                imported = await import_rows(rows, CatalogWriting(pool), NOW_MS)
            elapsed_s = time.perf_counter() - began
        assert imported.created == cards, "every card of the file is one"
        await pool.execute(_FOR_SALE, FOR_SALE_ONE_IN, timeout=FOR_SALE_WITHIN_S)
        await pool.execute("ANALYZE card_market")
        progress("pages and searches, from PostgreSQL")
        uncached = await _measured(CatalogView(pool), names, cards)
        progress("the same with the cache, each query twice")
        cached = await _measured(CatalogView(pool, cache), names, cards, twice=True)
        return {
            "cards": cards,
            "imported_per_s": round(cards / elapsed_s, 1),
            "uncached": uncached,
            "cached": cached,
            "goals": {"imported_per_s": GOAL_IMPORTED_PER_S, "p95_ms": GOAL_P95_MS},
        }
    finally:
        await cache.close()
        await close_pool(pool)


async def _measured(view: CatalogView, names: list[str], cards: int, *, twice: bool = False) -> dict[str, Any]:
    """Latency of each kind of query: page, total and facets together; ``twice``: of the second time."""
    chance = random.Random(2)
    kinds: dict[str, Callable[[], tuple[Wanted, str]]] = {
        "facet_page": lambda: (_facets_wanted(chance, cards), "newest"),
        "for_sale": lambda: (Wanted(status="open", rarity=chance.choice(RARITIES)), "price"),
        "whole_catalog": lambda: (Wanted(), "newest"),
        "search": lambda: (Wanted(q=chance.choice(names)), "relevance"),
        "word_search": lambda: (Wanted(q=chance.choice(TYPES)), "relevance"),
        "typo_search": lambda: (Wanted(q=_typo(chance, names)), "relevance"),
    }
    return {kind: await _timed(view, query, twice) for kind, query in kinds.items()}


async def _page(view: CatalogView, wanted: Wanted, sort: str) -> None:
    """A page of the catalog: cards, their total, and the facets."""
    await view.cards(wanted, sort, None, LIMIT + 1)
    await view.facets(wanted)


async def _timed(view: CatalogView, query: Callable[[], tuple[Wanted, str]], twice: bool) -> dict[str, float | None]:
    latencies = []
    for _ in range(WARM_UP + ROUNDS):
        wanted, sort = query()
        if twice:
            await _page(view, wanted, sort)
        began = time.perf_counter()
        await _page(view, wanted, sort)
        latencies.append((time.perf_counter() - began) * 1000)
    ascending = sorted(latencies[WARM_UP:])
    return {"p50": percentile(ascending, 0.50), "p95": percentile(ascending, 0.95)}


def _facets_wanted(chance: random.Random, cards: int) -> Wanted:
    code = f"set-{chance.randrange(max(1, cards // CARDS_A_SET))}"
    return chance.choice(
        (
            Wanted(set=code),
            Wanted(rarity=chance.choice(RARITIES)),
            Wanted(traits=(("type", chance.choice(TYPES)),)),
            Wanted(rarity="mythic", traits=(("type", chance.choice(TYPES)),)),
            Wanted(traits=(("artist", f"Artist {chance.randrange(ARTISTS)}"),)),
        )
    )


def _typo(chance: random.Random, names: list[str]) -> str:
    """A name with a letter left out."""
    name = chance.choice(names)
    gap = chance.randrange(1, len(name) - 1)
    return name[:gap] + name[gap + 1 :]


def _write(path: Path, cards: int) -> list[str]:
    """A random catalog, the same every time. Returns some of its names."""
    chance = random.Random(1)
    words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(2, 4))).capitalize() for _ in range(NAME_WORDS)]
    names: list[str] = []
    with path.open("wb") as out:
        for number in range(cards):
            name = f"{chance.choice(words)} {chance.choice(words)}"
            if len(names) < NAMES:
                names.append(name)
            traits = {"type": chance.choice(TYPES), "artist": f"Artist {chance.randrange(ARTISTS)}"}
            place, row = divmod(number, CARDS_A_SET)
            out.write(
                msgspec.json.encode(
                    {"set": f"set-{place}", "set_name": f"Set {place}", "number": str(row), "name": name,
                     "rarity": chance.choice(RARITIES), "traits": traits}
                ) + b"\n"
            )  # fmt: skip
    return names


def report(figures: Mapping[str, Any]) -> Report:
    """A row a query, then the rate of the import."""
    rows = [
        (about, *(f"{figures[way][name][rank]:.1f}" for way in ("uncached", "cached") for rank in ("p50", "p95")))
        for name, about in QUERIES
    ]
    goals = figures["goals"]
    title = f"A catalog of {figures['cards']:,} cards: a page, its total and its facets"
    return Report(
        figures,
        [
            Table(title, ("query", "p50 ms", "p95 ms", "cached p50", "cached p95"), rows),
            f"Import: {rate(figures['imported_per_s'])} cards/s. Goals: above {rate(goals['imported_per_s'])}/s, "
            f"each p95 under {goals['p95_ms']} ms.",
        ],
    )


async def run(context: Context) -> Report:
    async with context.engine() as engine:
        await context.idle()
        cards = context.value(CARDS_OPTION)
        return report(await measure_catalog(engine.database_url, engine.redis_url, cards, context.progress))


catalog = Bench(
    "catalog",
    "Import of cards from a file, then pages of the catalog with facets, and searches, with and without typos.",
    f"Each query runs {ROUNDS} times, one after the other. cached: the second time, answered by Redis.",
    (CARDS_OPTION,),
    run,
)
