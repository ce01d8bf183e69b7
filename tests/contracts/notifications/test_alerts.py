"""Who is told of which auctions, on the real PostgreSQL: searches, watches, each once."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from domain.catalog.rows import CardRow
from domain.ids import id_text
from persistence.catalog.market import CatalogMarket
from persistence.catalog.reading import CatalogReading, Wanted
from persistence.catalog.writing import CatalogWriting
from persistence.identity.store import UserStore
from persistence.jobs.rows import JobRow
from persistence.jobs.store import JobStore
from persistence.notifications.alerts import ENDING_WINDOW_MS, NOTIFY, Alerts
from persistence.notifications.saved_searches import SavedSearch, SavedSearches
from persistence.notifications.store import Notifications
from persistence.notifications.watches import Watches
from persistence.postgres.pool import Pool

NOW = 1_800_000_000_000
HOUR = 3_600_000
SELLER = 1


class Market:
    """Cards, auctions of them, and what users are told."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.alerts = Alerts(pool)
        self.searches = SavedSearches(pool)
        self.watches = Watches(pool)
        self.notifications = Notifications(pool)

    async def user(self) -> int:
        name = f"u{await self.id()}"
        return (await UserStore(self.pool).provision([name], None))[name].user_id

    async def id(self) -> int:
        number: int = await self.pool.fetchval("SELECT next_id()")
        return number

    async def card(self, *rows: CardRow) -> list[int]:
        await CatalogWriting(self.pool).put(rows, 0, NOW)
        return [
            await self.pool.fetchval(
                "SELECT card_id FROM cards JOIN card_sets USING (set_id) WHERE code = $1 AND number = $2",
                row.set, row.number,
            )
            for row in rows
        ]  # fmt: skip

    async def auction(
        self, *cards: int, price: int = 1_000_000, ends_at: int = NOW + HOUR, status: str = "open", seller: int = SELLER
    ) -> int:
        """As a host would list it, with its copies locked before."""
        auction = await self.id()
        for card in cards:
            await self.pool.execute(
                "WITH copy AS ("
                " INSERT INTO copies (card_id, serial, owner_id, place, locked_by, locked_at, acquired_at)"
                " SELECT $1, coalesce(max(serial), 0) + 1, $2, 'listed', $3, 0, 0 FROM copies WHERE card_id = $1"
                " RETURNING copy_id) INSERT INTO listed_copies SELECT $3, copy_id, $1 FROM copy",
                card, seller, auction,
            )  # fmt: skip
        await self.pool.execute(
            "INSERT INTO auctions (auction_id, seller_id, seller_name, title, format, status, placement, price,"
            " minimum, bids, reserve, starts_at, ends_at, epoch, seq)"
            " VALUES ($1, $2, 'ann', 'An auction', 'english', $3, 'shared', $4, $4, 0, 'none', 0, $5, 1, 1)",
            auction, seller, status, price, ends_at,
        )  # fmt: skip
        return auction

    async def becomes(self, auction: int, status: str) -> None:
        await self.pool.execute("UPDATE auctions SET status = $2 WHERE auction_id = $1", auction, status)

    async def search(self, user: int, alerts: bool = True, **wanted: Any) -> int:
        search = await self.id()
        await self.searches.add(user, SavedSearch(search, "A search", alerts, NOW, Wanted(**wanted)))
        return search

    async def tell(self, now_ms: int = NOW) -> set[int]:
        """Tell all that is due; who was told."""
        # The table goes by the database's clock; the tests' is ahead of it.
        await self.pool.execute(
            "UPDATE jobs SET run_at = 0"
            " WHERE claim IS NULL AND run_at > extract(epoch FROM now()) * 1000 AND run_at <= $1",
            now_ms,
        )
        users: set[int] = set()
        while jobs := await JobStore(self.pool).claim({NOTIFY: 100}, "test"):
            users |= set(await self.alerts.notify(jobs, now_ms))
        return users

    async def told(self, user: int) -> list[str]:
        """What a user was told, the oldest first; their numbers have no gaps."""
        rows = await self.pool.fetch("SELECT seq, about, kind FROM notifications WHERE user_id = $1 ORDER BY seq", user)
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["about"] for row in rows]


@pytest.fixture
async def market(pool: Pool) -> AsyncIterator[Market]:
    yield Market(pool)
    await pool.execute(
        "TRUNCATE watches, saved_searches, notifications, notification_heads, jobs, copies, listed_copies CASCADE"
    )


CHARIZARD = CardRow("base", "4", "Charizard", "rare", "Base Set", traits={"type": "fire"}, images=["/media/4.webp"])
PIKACHU = CardRow("base", "58", "Pikachu", "common", "Base Set", traits={"type": "lightning"})


async def test_a_search_is_told_of_each_auction_once_with_what_it_is_about(market: Market):
    (card,) = await market.card(CHARIZARD)
    ann = await market.user()
    search = await market.search(ann, q="charzard", rarity="rare")
    await market.search(ann, alerts=False, rarity="rare")
    first, second = await market.auction(card), await market.auction(card)
    assert await market.tell() == {ann}
    assert await market.tell() == set()
    assert sorted(await market.told(ann)) == [f"search {search} {first}", f"search {search} {second}"]
    [newest, _] = await market.notifications.page(ann, True, None, 10)
    assert newest.kind == "search_match"
    for part in (f'"id": "{id_text(search)}"', '"name": "Charizard"', '"image": "/media/4.webp"', '"price": 1000000'):
        assert part in newest.data


async def test_an_auction_that_is_told_of_again_is_no_news(market: Market):
    (card,) = await market.card(CHARIZARD)
    ann = await market.user()
    await market.search(ann, set="base")
    await market.watches.add(ann, "card", card, NOW)
    auction = await market.auction(card)
    await market.tell()
    before = await market.told(ann)
    assert len(before) == 2
    await JobStore(market.pool).add([JobRow(NOTIFY, f"opened:{id_text(auction)}")])
    assert await market.tell() == set()
    assert await market.told(ann) == before


async def test_what_is_scheduled_is_told_of_when_it_opens(market: Market):
    (card,) = await market.card(CHARIZARD)
    ann = await market.user()
    await market.search(ann, set="base")
    auction = await market.auction(card, status="scheduled")
    assert await market.tell() == set()
    await market.becomes(auction, "open")
    assert await market.tell() == {ann}


async def test_nobody_is_told_of_what_they_sell_themselves(market: Market):
    (card,) = await market.card(CHARIZARD)
    ann = await market.user()
    await market.search(ann, set="base")
    await market.watches.add(ann, "card", card, NOW)
    await market.auction(card, seller=ann)
    assert await market.tell() == set()


async def test_a_bundle_is_one_auction_for_a_search_that_finds_all_of_it(market: Market):
    cards = await market.card(CHARIZARD, PIKACHU)
    ann, bob = await market.user(), await market.user()
    search = await market.search(ann, set="base")
    await market.watches.add(bob, "card", cards[1], NOW)
    auction = await market.auction(*cards, cards[0])
    assert await market.tell() == {ann, bob}
    assert await market.told(ann) == [f"search {search} {auction}"]
    assert await market.told(bob) == [f"listed {auction}"]


async def test_what_a_bundle_costs_is_no_price_of_a_card(market: Market):
    cards = await market.card(CHARIZARD, PIKACHU)
    ann = await market.user()
    await market.search(ann, set="base", max_price=5_000_000)
    await market.auction(*cards)
    assert await market.tell() == set()
    await market.auction(cards[0])
    assert await market.tell() == {ann}


async def test_an_end_is_told_of_a_quarter_of_an_hour_before_and_when_it_has_come(market: Market):
    ann, bob = await market.user(), await market.user()
    auction = await market.auction(ends_at=NOW + HOUR)
    await market.watches.add(ann, "auction", auction, NOW)
    assert await market.tell(NOW) == set()
    assert await market.tell(NOW + HOUR - ENDING_WINDOW_MS - 1) == set()
    assert await market.tell(NOW + HOUR - ENDING_WINDOW_MS) == {ann}
    await market.watches.add(bob, "auction", auction, NOW)
    assert await market.tell(NOW + HOUR - 1) == set()
    await market.becomes(auction, "closed")
    assert await market.tell(NOW + HOUR) == {ann, bob}
    assert await market.told(ann) == [f"ending {auction}", f"ended {auction}"]
    assert await market.tell(NOW + 2 * HOUR) == set()
    assert await market.pool.fetchval("SELECT count(*) FROM jobs WHERE kind = $1", NOTIFY) == 0


async def test_an_end_that_has_moved_is_told_of_later(market: Market):
    ann = await market.user()
    auction = await market.auction(ends_at=NOW + HOUR)
    await market.watches.add(ann, "auction", auction, NOW)
    await market.tell(NOW)
    await market.pool.execute("UPDATE auctions SET ends_at = $2 WHERE auction_id = $1", auction, NOW + 2 * HOUR)
    assert await market.tell(NOW + HOUR) == set()
    assert await market.tell(NOW + 2 * HOUR - ENDING_WINDOW_MS) == {ann}
    assert await market.told(ann) == [f"ending {auction}"]


async def test_of_a_cancelled_auction_only_its_end_is_told(market: Market):
    (card,) = await market.card(CHARIZARD)
    ann = await market.user()
    await market.search(ann, set="base")
    auction = await market.auction(card)
    await market.watches.add(ann, "auction", auction, NOW)
    await market.becomes(auction, "cancelled")
    await market.tell(NOW + HOUR)
    assert await market.told(ann) == [f"ended {auction}"]


async def test_several_who_tell_at_once_tell_each_once(market: Market):
    (card,) = await market.card(CHARIZARD)
    users = [await market.user() for _ in range(5)]
    for user in users:
        await market.search(user, set="base")
    auctions = [await market.auction(card) for _ in range(250)]
    tellers = [Market(market.pool) for _ in range(4)]
    await asyncio.gather(*(teller.tell() for teller in tellers))
    await market.tell()
    for user in users:
        assert len(set(await market.told(user))) == len(auctions)


async def test_one_who_dies_while_telling_leaves_it_to_the_next(market: Market, database_url: str):
    (card,) = await market.card(CHARIZARD)
    ann = await market.user()
    await market.search(ann, set="base")
    await market.auction(card)
    dying = await asyncpg.connect(database_url)
    await dying.execute("BEGIN")
    await dying.fetch("SELECT FROM jobs FOR UPDATE")
    # Nobody waits for what another has.
    assert await market.tell() == set()
    dying.terminate()
    async with asyncio.timeout(10):
        while not await market.tell():  # noqa: ASYNC110 -- only the database knows
            await asyncio.sleep(0.01)
    assert len(await market.told(ann)) == 1


# -- what a search finds, and what it is told of, is the same

NAMES = ["Ember", "Émber Drake", "River-Otter", "ox", "ox 2", "Stormcaller", "storm", "Drake's 3rd", "emb", "otters",
         "リザードンVMAX", "今月の売上", "売店"]  # fmt: skip
SETS, RARITIES, TYPES = ["dawn", "dusk"], ["common", "rare"], ["fire", "water"]
WORDS = ["ember", "EMB", "drak", "emberr", "stromcaller", "ox", "2", "river otter", "otter", "storm ember", "fire",
         "!!", "dawn", "3rd", "rive", "zzzzz", "o", "",
         "drakes", "river-otter", "riverotter", "vmax", "リザードン", "売上", "売", "の売上"]  # fmt: skip


def some_cards(chance: random.Random, set_prefix: str) -> list[CardRow]:
    return [
        CardRow(
            set_prefix + chance.choice(SETS), str(number), chance.choice(NAMES), chance.choice(RARITIES),
            traits={name: chance.choice(TYPES) for name in ("type", "weakness") if chance.random() < 0.7},
            description=chance.choice(["", "Lives by the river", "Of the old drakes"]),
        )
        for number in range(30)
    ]  # fmt: skip


def some_search(chance: random.Random, set_prefix: str) -> Wanted:
    def perhaps(value: Any, likely: float = 0.3) -> Any:
        return value if chance.random() < likely else None

    wanted = Wanted(
        perhaps(chance.choice(WORDS), 0.6) or "",
        perhaps(set_prefix + chance.choice([*SETS, "noon"])),
        perhaps(chance.choice([*RARITIES, "mythic"])),
        tuple((name, chance.choice(TYPES)) for name in ("type", "weakness") if chance.random() < 0.2),
        perhaps(chance.randrange(1, 6) * 1_000_000, 0.2),
        perhaps(chance.randrange(1, 6) * 1_000_000, 0.2),
        perhaps("open", 0.2),
    )
    return wanted if wanted.q.strip() or wanted.set or wanted.rarity or wanted.traits else Wanted(q="ember")


@pytest.mark.parametrize("seed", range(6))
async def test_a_search_is_told_of_exactly_the_cards_that_it_finds(market: Market, seed: int):
    chance, prefix = random.Random(seed), f"s{seed}-"
    cards = await market.card(*some_cards(chance, prefix))
    user = await market.user()
    searches = {await market.search(user, **_fields(wanted)): wanted
                for wanted in (some_search(chance, prefix) for _ in range(40))}  # fmt: skip
    auctions = {await market.auction(card, price=chance.randrange(1, 6) * 1_000_000): card for card in cards}
    await CatalogMarket(market.pool).refresh(cards)
    await market.tell()
    reading, expected = CatalogReading(market.pool), set()
    for search, wanted in searches.items():
        found = await reading.page(await reading.query(wanted), "newest", None, 100)
        expected |= {(search, card.id) for card in found if card.id in cards}
    told = {(search, auctions[auction]) for _, search, auction in map(_about, await market.told(user))}
    assert told == expected
    assert len(expected) > 40


def _fields(wanted: Wanted) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in Wanted.__struct_fields__}


def _about(text: str) -> tuple[str, int, int]:
    kind, search, auction = text.split()
    return kind, int(search), int(auction)
