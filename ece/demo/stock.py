"""Who has copies of the demo's cards, and what they want for them: all from the seed, like the cards."""

import random

import msgspec

from domain.money import usd
from ece.demo.cards import DemoCard

PEOPLE = ("demo_ada", "demo_bram", "demo_chiyo", "demo_dario", "demo_esme", "demo_felix", "demo_greta", "demo_hana")
OPERATOR = "demo_operator"
LISTED_IN_HUNDRED = 45
HOUR_MS = 3_600_000
PRICES = {"common": 1, "uncommon": 3, "rare": 10, "epic": 40, "legendary": 200, "mythic": 900}


class Lot(msgspec.Struct, frozen=True):
    """An auction of a copy. ``bids``: who bids how much at the most, in this order. Amounts in base units."""

    title: str
    starting_price: int
    duration_ms: int
    reserve_price: int | None
    buy_now_price: int | None
    bids: tuple[tuple[str, int], ...]

    def terms(self, copy: str) -> dict[str, object]:
        """What ``POST /auctions`` takes."""
        terms = {
            "title": self.title, "starting_price": self.starting_price, "duration_ms": self.duration_ms,
            "reserve_price": self.reserve_price, "buy_now_price": self.buy_now_price, "copies": [copy],
        }  # fmt: skip
        return {name: value for name, value in terms.items() if value is not None}


class Stock(msgspec.Struct, frozen=True):
    """The copies of a card: who has the first, the second, …; and how the first is sold, if it is."""

    owners: tuple[str, ...]
    grade: int | None
    lot: Lot | None


def stock_of(card: DemoCard) -> Stock:
    """The same for the same card."""
    chance = random.Random(f"{card.seed} stock")
    owners = tuple(chance.choices(PEOPLE, k=chance.randint(1, 3)))
    grade = chance.randrange(70, 101, 5) if chance.random() < 0.4 else None
    lot = _lot(chance, card, owners[0]) if chance.randrange(100) < LISTED_IN_HUNDRED else None
    return Stock(owners, grade, lot)


def _lot(chance: random.Random, card: DemoCard, seller: str) -> Lot:
    # Whole tenths of a dollar.
    start = max(1, round(PRICES[card.rarity] * chance.uniform(6, 16))) * (usd(1) // 10)
    bidders = chance.sample([name for name in PEOPLE if name != seller], k=chance.choice((0, 0, 1, 2, 3, 4)))
    bids = tuple((name, start * (place + 2) * chance.randint(10, 13) // 20) for place, name in enumerate(bidders))
    return Lot(
        f"{card.name} · {card.set.name} {card.number:02d}",
        start,
        chance.randint(2, 120) * HOUR_MS,
        start * 3 if chance.random() < 0.2 else None,
        start * 8 if chance.random() < 0.3 else None,
        bids,
    )
