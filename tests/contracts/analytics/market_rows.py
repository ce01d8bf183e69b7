"""Rows of settled auctions, written with SQL of the tests' own, and what they come to, counted in plain Python."""

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from domain.sales.portfolio import DAY_MS, change_bp

Connection = asyncpg.Connection | PoolConnectionProxy
USDC = "USDC"
HASH = bytes(32)

_numbers = itertools.count(1_000_000)

_SETTLED = """
    INSERT INTO settlements (auction_id, round, outcome, at, seller_id, buyer_id, currency, price, fee, royalties,
        copies, event_seq, event_hash) VALUES ($1, $2, $3, $4, $5, $6, 'USDC', $7, $8, $9, $10, 3, $11)
"""
_SALE = """
    INSERT INTO sales (auction_id, round, copy_id, card_id, seller_id, buyer_id, currency, price, fee, royalties,
        seller_cost, at) VALUES ($1, $2, $3, $4, $5, $6, 'USDC', $7, $8, $9, $10, $11)
"""
_CHANGE = """
    INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner, price, currency, source_id)
    SELECT copy_id, provenance_seq + 1, $2, $3, owner_id, $4, $5::bigint,
        CASE WHEN $5::bigint IS NOT NULL THEN 'USDC' END, $6
    FROM copies WHERE copy_id = $1
"""
_MOVED = """
    UPDATE copies SET owner_id = $2, cost = $3, acquired_at = $4, provenance_seq = provenance_seq + 1 WHERE copy_id = $1
"""


async def make_cards(connection: Connection, count: int, *, code: str | None = None) -> list[int]:
    """So many cards of a new set."""
    code = code or f"set-{next(_numbers)}"
    rows = await connection.fetch(
        """WITH made AS (INSERT INTO card_sets (code, name) VALUES ($1, $1) RETURNING set_id)
        INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at)
        SELECT set_id, n::text, 'Card ' || n, 'rare', 0, 0, 0 FROM made, generate_series(1, $2) AS n
        RETURNING card_id""",
        code, count,
    )  # fmt: skip
    return [row[0] for row in rows]


async def make_copy(connection: Connection, card: int, owner: int, at: int) -> int:
    """A copy that is its first owner's."""
    copy: int = await connection.fetchval(
        """INSERT INTO copies (card_id, serial, owner_id, acquired_at)
        SELECT $1, 1 + count(*), $2, $3 FROM copies WHERE card_id = $1 RETURNING copy_id""",
        card, owner, at,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO provenance (copy_id, seq, at, reason, to_owner) VALUES ($1, 1, $2, 'made', $3)", copy, at, owner
    )
    return copy


async def give(connection: Connection, copy: int, to: int, at: int) -> None:
    """A gift."""
    await connection.execute(_CHANGE, copy, at, "gift", to, None, None)
    await connection.execute(_MOVED, copy, to, None, at)


async def settle(
    connection: Connection,
    copies: list[int],
    buyer: int | None,
    price: int,
    at: int,
    *,
    auction: int | None = None,
    round: int = 1,
    outcome: str | None = None,
) -> int:
    """An auction of these copies that has ended; sold where there is a buyer. The price is shared out over them."""
    auction = auction or next(_numbers)
    rows = await connection.fetch(
        "SELECT copy_id, card_id, owner_id, cost FROM copies WHERE copy_id = ANY($1::bigint[]) ORDER BY copy_id", copies
    )
    seller, fee, royalties = rows[0]["owner_id"], price // 20, price // 50
    sold = buyer is not None
    sums = (price, fee, royalties) if sold else (0, 0, 0)
    await connection.execute(
        _SETTLED, auction, round, outcome or ("sold" if sold else "unsold"), at, seller, buyer, *sums, len(rows), HASH
    )
    for nth, row in enumerate(rows if sold else []):
        shares = [total // len(rows) + (nth < total % len(rows)) for total in sums]
        await connection.execute(
            _SALE, auction, round, row["copy_id"], row["card_id"], seller, buyer, *shares, row["cost"], at
        )
        await connection.execute(_CHANGE, row["copy_id"], at, "sale", buyer, shares[0] or None, auction)
        await connection.execute(_MOVED, row["copy_id"], buyer, shares[0], at)
    return auction


async def refund(connection: Connection, auction: int, at: int, round: int = 1) -> None:
    """A moderator takes the sale back: its copies go back to the seller, at what they had cost them."""
    await connection.execute(
        "INSERT INTO refunds (auction_id, round, at, by_operator, reason) VALUES ($1, $2, $3, 1, 'x')",
        auction,
        round,
        at,
    )
    for row in await connection.fetch("SELECT * FROM sales WHERE auction_id = $1 AND round = $2", auction, round):
        await connection.execute(_CHANGE, row["copy_id"], at, "refund", row["seller_id"], None, auction)
        await connection.execute(_MOVED, row["copy_id"], row["seller_id"], row["seller_cost"], at)


MODELS = {
    "card_days": "card_id, currency, day, sales, volume, open, high, low, close",
    "market_days": "currency, day, sales, volume, cards",
    "card_prices": "card_id, currency, last_price, last_at",
    "card_windows": "card_id, currency, days, as_of_day, sales, volume, price, before, change_bp",
    "seller_days": """seller_id, currency, day, auctions_offered, auctions_sold, copies_offered, copies_sold, gross,
        fees, royalties, realised""",
    "buyer_days": "buyer_id, currency, day, wins, copies, spent",
    "holdings": "owner_id, card_id, copies, costed, cost",
    "user_value_days": "user_id, currency, day, copies, value",
}


async def read_models(connection: Connection) -> dict[str, set[tuple[Any, ...]]]:
    """What stands in the read models."""
    return {
        name: {tuple(row) for row in await connection.fetch(f"SELECT {columns} FROM {name}")}
        for name, columns in MODELS.items()
    }


@dataclass
class Ledger:
    """Everything that happened, as rows of the tables that are the truth."""

    sales: list[Any]
    settlements: list[Any]
    refunds: dict[tuple[int, int], int]
    provenance: list[Any]
    copies: list[Any]
    cards: dict[int, int] = field(default_factory=dict)

    @classmethod
    async def of(cls, connection: Connection) -> "Ledger":
        refunds = await connection.fetch("SELECT auction_id, round, at FROM refunds")
        copies = await connection.fetch("SELECT * FROM copies")
        return cls(
            await connection.fetch("SELECT * FROM sales ORDER BY at, sale_no"),
            await connection.fetch("SELECT * FROM settlements"),
            {(row[0], row[1]): row[2] for row in refunds},
            await connection.fetch("SELECT * FROM provenance ORDER BY copy_id, seq"),
            copies,
            {row["copy_id"]: row["card_id"] for row in copies},
        )

    def counted(self, today: int, last_day: int) -> dict[str, set[tuple[Any, ...]]]:
        """What the read models have to be; collections are valued up to ``last_day``."""
        standing = [s for s in self.sales if (s["auction_id"], s["round"]) not in self.refunds]
        by_day: dict[tuple[int, int], list[int]] = defaultdict(list)
        for sale in standing:
            by_day[sale["card_id"], sale["at"] // DAY_MS].append(sale["price"])
        card_days = {
            (card, USDC, day, len(p), sum(p), p[0], max(p), min(p), p[-1]) for (card, day), p in by_day.items()
        }
        last = {sale["card_id"]: (sale["price"], sale["at"]) for sale in standing}
        return {
            "card_days": card_days,
            "market_days": {
                (USDC, day, sum(r[3] for r in rows), sum(r[4] for r in rows), len(rows))
                for day in {row[2] for row in card_days}
                if (rows := [row for row in card_days if row[2] == day])
            },
            "card_prices": {(card, USDC, *what) for card, what in last.items()},
            "card_windows": self._windows(standing, today),
            "seller_days": self._sellers(standing),
            "buyer_days": self._buyers(),
            "holdings": self._holdings(),
            "user_value_days": self._values(last_day),
        }

    def _windows(self, standing: list[Any], today: int) -> set[tuple[Any, ...]]:
        windows: set[tuple[Any, ...]] = set()
        for card in {sale["card_id"] for sale in standing}:
            sold = [sale for sale in standing if sale["card_id"] == card]
            for days in (1, 7, 30):
                inside = [s["price"] for s in sold if s["at"] // DAY_MS > today - days]
                earlier = [s["price"] for s in sold if s["at"] // DAY_MS <= today - days]
                if inside:
                    before = (earlier or inside[:1])[-1]
                    change = change_bp(before, inside[-1])
                    windows.add((card, USDC, days, today, len(inside), sum(inside), inside[-1], before, change))
        return windows

    def _sellers(self, standing: list[Any]) -> set[tuple[Any, ...]]:
        days: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * 8)
        for row in self.settlements:
            sums = days[row["seller_id"], row["at"] // DAY_MS]
            if row["round"] == 1 and row["outcome"] != "cancelled":
                sums[0] += 1
                sums[2] += row["copies"]
            if row["outcome"] == "sold" and (row["auction_id"], row["round"]) not in self.refunds:
                amounts = (1, 0, row["copies"], row["price"], row["fee"], row["royalties"])
                sums[1:7] = [had + more for had, more in zip(sums[1:7], amounts, strict=True)]
        for sale in standing:
            days[sale["seller_id"], sale["at"] // DAY_MS][7] += (
                sale["price"] - sale["fee"] - sale["royalties"] - (sale["seller_cost"] or 0)
            )
        return {(seller, USDC, day, *sums) for (seller, day), sums in days.items() if any(sums)}

    def _buyers(self) -> set[tuple[Any, ...]]:
        days: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * 3)
        for row in self.settlements:
            if row["outcome"] == "sold" and (row["auction_id"], row["round"]) not in self.refunds:
                sums = days[row["buyer_id"], row["at"] // DAY_MS]
                days[row["buyer_id"], row["at"] // DAY_MS] = [
                    had + more for had, more in zip(sums, (1, row["copies"], row["price"]), strict=True)
                ]
        return {(buyer, USDC, day, *sums) for (buyer, day), sums in days.items()}

    def _holdings(self) -> set[tuple[Any, ...]]:
        held: dict[tuple[int, int], list[int | None]] = defaultdict(list)
        for copy in self.copies:
            held[copy["owner_id"], copy["card_id"]].append(copy["cost"])
        return {
            (*key, len(costs), sum(cost is not None for cost in costs), sum(cost or 0 for cost in costs))
            for key, costs in held.items()
        }

    def _values(self, last_day: int) -> set[tuple[Any, ...]]:
        if not self.provenance:
            return set()
        owners = {row["to_owner"] for row in self.provenance}
        rows, latest = set(), dict.fromkeys(owners, (0, 0))
        for day in range(min(row["at"] for row in self.provenance) // DAY_MS, last_day + 1):
            end = (day + 1) * DAY_MS
            prices = {
                s["card_id"]: s["price"]
                for s in self.sales
                if s["at"] < end and not self.refunds.get((s["auction_id"], s["round"]), end) < end
            }
            whose = {row["copy_id"]: row["to_owner"] for row in self.provenance if row["at"] < end}
            for owner in owners:
                cards = [self.cards[copy] for copy, its in whose.items() if its == owner]
                now = (len(cards), sum(prices.get(card, 0) for card in cards))
                if now != latest[owner]:
                    rows.add((owner, USDC, day, *now))
                    latest[owner] = now
        return rows
