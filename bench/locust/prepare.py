"""Sets up what the users of a profile need: accounts, auctions, cards, copies. Before the run, with the Python client.

`python -m bench.locust.prepare` reads an Order as JSON on stdin and prints the Plan on stdout: so does the locustfile
when it is used without `ece bench locust`. Accounts are then registered by REST.
"""

import asyncio
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from bench.locust.plan import Identity, Lot, Pair, Plan, RecordedLot, Stock
from bench.locust.profiles import MINTER, NEED_AN_OPERATOR, PROFILES, REPLAYER, SELLER, TRADER, Profile
from bench.recordings.files import read_recording
from bench.recordings.model import RecordedAuction, UnusableRecording
from bench.recordings.proxy_model import EBAY_STEPS
from bench.wire.accounts import OPERATOR_ROLE, Accounts, Roster, username_of
from bench.wire.accounts_by_rest import AccountsByRest, NoAccounts
from bench.wire.rest_client import RestClient
from ece_client import EceError, Refused

USD = 1_000_000
STARTING_PRICE = USD
# One cent at every price: many rising bids stay affordable.
STEP = USD // 100
DAY_MS = 24 * 3600 * 1000
# From the end of the preparation until users arrive.
START_S = 3.0
REQUESTS_AT_ONCE = 8
LISTED_PER_S = 50
ENDING_MAX = 5_000
PREFIX, OPERATOR, AUCTIONEER = "load", "load_operator", "load_auctioneer"
TITLE_CHARACTERS_MAX = 120
RARITIES = ("common", "uncommon", "rare", "mythic")
NAMES = ("Charizard", "Blastoise", "Venusaur", "Pikachu", "Mewtwo", "Gengar", "Dragonite", "Snorlax", "Eevee", "Lapras")

Progress = Callable[[str], None]


class NotPrepared(Exception):
    """A run can't be prepared. The message says why."""


class Order(msgspec.Struct, frozen=True):
    """What to prepare. `seconds`: how long the run lasts; auctions that end are set up for that time."""

    url: str
    profile: str
    users: int
    seconds: float
    rate: float | None = None
    recording: str | None = None


def class_counts(profile: Profile, users: int) -> dict[str, int]:
    """How many users of each class there are at least, when `users` share the weights."""
    total = sum(profile.weights.values())
    return {name: math.ceil(users * weight / total) for name, weight in profile.weights.items()}


def wave_ends_ms(profile: Profile, began_ms: int, seconds: float) -> list[int]:
    """When each of the auctions ends that end during the run; at most ENDING_MAX."""
    scene = profile.scene
    if not scene.ending:
        return []
    waves = min(math.ceil(seconds / scene.wave_s), ENDING_MAX // scene.ending)
    return [began_ms + round(scene.wave_s * 1000 * (wave + 1)) for wave in range(waves) for _ in range(scene.ending)]


async def prepare(order: Order, accounts: Accounts, progress: Progress) -> Plan:
    """Set everything up. Raises NotPrepared."""
    rest: RestClient | None = None
    try:
        roster = Roster(accounts)
        rest = RestClient(order.url, roster)
        return await _Preparation(order, roster, rest, progress).plan()
    except (EceError, NoAccounts, UnusableRecording, OSError) as error:
        raise NotPrepared(str(error)) from error
    finally:
        if rest is not None:
            await rest.close()


class _Preparation:
    """One preparation."""

    def __init__(self, order: Order, roster: Roster, rest: RestClient, progress: Progress) -> None:
        self._order = order
        self._profile = PROFILES[order.profile]
        self._counts = class_counts(self._profile, order.users)
        self._roster = roster
        self._rest = rest
        self._progress = progress
        self._at_once = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def plan(self) -> Plan:
        """All parts, in the order in which they need each other."""
        if REPLAYER in self._counts:
            return await self._replay()
        operator = await self._operator()
        await self._roster.enlist([AUCTIONEER])
        bidders = await self._enlist("bidder", self._order.users)
        sellers = await self._enlist("seller", max(1, self._counts.get(SELLER, 0)))
        traders = await self._enlist("trader", 2 * self._counts.get(TRADER, 0) if operator else 0)
        cards, stocks, pairs = list[str](), [Stock(one, []) for one in sellers], list[Pair]()
        if operator is not None:
            cards = await self._cards()
            if SELLER in self._counts:
                stocks = [Stock(one, await self._copies(cards, one)) for one in sellers]
            pairs = await self._pairs(cards, traders)
        minter = operator if MINTER in self._counts else None
        return Plan(
            url=self._order.url,
            profile=self._order.profile,
            rate=self._order.rate,
            bidders=bidders,
            stocks=stocks,
            pairs=pairs,
            lots=await self._lots(),
            cards=cards,
            minter=minter,
            minted_card=cards[0] if minter is not None else None,
            recorded=[],
        )

    async def _operator(self) -> Identity | None:
        if not self._profile.scene.cards:
            return None
        try:
            await self._roster.enlist([OPERATOR], OPERATOR_ROLE)
        except NoAccounts:
            missing = sorted(NEED_AN_OPERATOR & self._counts.keys())
            self._progress(f"without an operator there are no new cards; left out: {', '.join(missing)}")
            return None
        return self._identity(OPERATOR)

    async def _enlist(self, part: str, number: int) -> list[Identity]:
        names = [f"{PREFIX}_{part}_{n}" for n in range(number)]
        if names:
            self._progress(f"{number:,} {part}s")
            await self._roster.enlist(names)
        return [self._identity(name) for name in names]

    def _identity(self, name: str) -> Identity:
        account = self._roster.account(name)
        return Identity(account.id, account.username, account.token)

    async def _cards(self) -> list[str]:
        code, number = f"load-{uuid4().hex[:8]}", self._profile.scene.cards
        self._progress(f"{number:,} cards")

        async def create(place: int) -> None:
            name = f"{NAMES[place % len(NAMES)]} {place}"
            body = {"set": code, "number": str(place), "name": name, "rarity": RARITIES[place % len(RARITIES)]}
            await self._rest.post(OPERATOR, "/admin/catalog/cards", body)

        await self._all(create(place) for place in range(number))
        cards: list[str] = []
        cursor = ""
        while len(cards) < number:
            page = await self._rest.get(OPERATOR, f"/catalog/cards?set={code}&limit=50{cursor}")
            cards += [str(card["id"]) for card in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        return cards

    async def _copies(self, cards: Sequence[str], owner: Identity, number: int | None = None) -> list[str]:
        wanted = self._profile.scene.copies if number is None else number
        card = cards[hash(owner.id) % len(cards)]
        body = {"owner": owner.username, "count": wanted}
        made = await self._rest.post(OPERATOR, f"/admin/catalog/cards/{card}/copies", body)
        return [str(copy) for copy in made["copies"]]

    async def _pairs(self, cards: Sequence[str], traders: Sequence[Identity]) -> list[Pair]:
        copies = await self._all(self._copies(cards, one, 1) for one in traders)
        return [
            Pair(traders[n], traders[n + 1], copies[n][0], copies[n + 1][0]) for n in range(0, len(traders), 2)
        ]  # fmt: skip

    async def _lots(self) -> list[Lot]:
        number = self._profile.scene.auctions
        ends = wave_ends_ms(self._profile, 0, self._order.seconds)
        self._progress(f"{number + len(ends):,} auctions")
        lasting = await self._all(self._lot(f"Load {n}", {"duration_ms": DAY_MS}) for n in range(number))
        # Listing takes its time: the waves begin after the last of them.
        first_ms = round((time.time() + START_S + len(ends) / LISTED_PER_S) * 1000)
        ending = await self._all(
            self._lot(f"Load ending {n}", {"ends_at": first_ms + end}) for n, end in enumerate(ends)
        )  # fmt: skip
        listed = [lot for lot in lasting + ending if lot is not None]
        if len(listed) < number + len(ends):
            self._progress(f"only {len(listed):,} of them: one seller may have no more")
        return listed

    async def _lot(self, title: str, end: dict[str, int]) -> Lot | None:
        """A new auction; None where the engine lets the seller have no more (accounts made by REST)."""
        terms = {"title": title, "format": "english", "starting_price": STARTING_PRICE, "increments": [[0, STEP]]}
        try:
            state = await self._rest.open_auction(AUCTIONEER, terms | end)
        except Refused as refused:
            if refused.code != "quota_exceeded":
                raise
            return None
        return Lot(str(state["id"]), int(state["minimum"]), int(state["ends_at"]))

    async def _replay(self) -> Plan:
        if self._order.recording is None:
            raise NotPrepared("the profile replay needs --recording FILE: eBay auctions as CSV, or estate lots as JSON")
        auctions = read_recording(Path(self._order.recording)).auctions
        names = sorted({username_of(bid.bidder) for auction in auctions for bid in auction.bids})
        self._progress(f"{len(names):,} bidders of {len(auctions):,} recorded auctions")
        await self._roster.enlist(names)
        places = {name: place for place, name in enumerate(names)}
        return Plan(
            url=self._order.url,
            profile=self._order.profile,
            rate=self._order.rate,
            bidders=[self._identity(name) for name in names],
            stocks=[Stock(one, []) for one in await self._enlist("seller", self._order.users)],
            pairs=[],
            lots=[],
            cards=[],
            minter=None,
            minted_card=None,
            recorded=[_recorded(auction, places) for auction in auctions],
        )

    async def _all(self, requests: Iterable[Any]) -> list[Any]:
        """The answers in order, some at once."""

        async def one(request: Any) -> Any:
            async with self._at_once:
                return await request

        return list(await asyncio.gather(*(one(request) for request in requests)))


def _recorded(auction: RecordedAuction, places: dict[str, int]) -> RecordedLot:
    terms: dict[str, Any] = {
        "title": f"{auction.item} ({auction.auction_id})"[:TITLE_CHARACTERS_MAX],
        "format": "english",
        "starting_price": auction.starting_price,
        "duration_ms": DAY_MS,
    }
    if auction.steps != EBAY_STEPS:
        terms["increments"] = [list(step) for step in auction.steps]
    bids = [(places[username_of(bid.bidder)], bid.amount) for bid in auction.bids]
    return RecordedLot(terms, bids, list(auction.by_the_rules().after))


def main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    try:
        plan = asyncio.run(
            prepare(order, AccountsByRest(order.url), lambda message: print(f"load: {message}", file=sys.stderr))
        )
    except NotPrepared as error:
        sys.exit(f"load: {error}")
    sys.stdout.buffer.write(msgspec.json.encode(plan))


if __name__ == "__main__":
    main()
