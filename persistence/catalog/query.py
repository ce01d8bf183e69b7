"""Filters and search words of the catalog as SQL."""

from typing import Any

import msgspec

from domain.catalog.words import Phrase, mark, stands_for_longer

PRICE_MAX = 2**53
RANKED_MAX = 2_000
# Where these say where a card stands only what is for sale has a place: (column, whether the highest comes first).
MARKET_SORTS = {"price": ("lowest_price", False), "ending": ("ends_at_next", False), "listed": ("listed_at_last", True)}

CARD_COLUMNS = """c.card_id, s.code, s.name, c.number, c.name, c.description, c.rarity, c.traits::text, c.edition,
    c.images, c.model_3d, c.created_at, c.updated_at, coalesce(m.open_auctions, 0), m.lowest_price, m.ends_at_next,
    m.listed_at_last"""
FROM_CARDS = "cards c LEFT JOIN card_sets s ON s.set_id = c.set_id LEFT JOIN card_market m ON m.card_id = c.card_id"


# Where a card stands in an order: its key there, and its id. By name the key is text.
Place = tuple[int | str, int]


class Wanted(msgspec.Struct, frozen=True):
    """Which cards. ``traits`` are (name, value); prices are those of open auctions, in base units."""

    q: str = ""
    set: str | None = None
    rarity: str | None = None
    traits: tuple[tuple[str, str], ...] = ()
    min_price: int | None = None
    max_price: int | None = None
    status: str | None = None

    def of_market(self) -> bool:
        """Whether auctions decide which cards these are."""
        return not (self.min_price is None and self.max_price is None and self.status is None)


class Query(msgspec.Struct, frozen=True):
    """Conditions on cards c and the market m, and the values of their parameters; ``words``: what to rank by."""

    conditions: list[str]
    values: list[Any]
    words: str | None
    # Whether any is on cards, and whether only cards with open auctions can be meant.
    on_cards: bool
    on_open: bool

    def where(self) -> str:
        return " AND ".join(self.conditions) or "true"


def query_of(wanted: Wanted, tsquery: str | None, set_id: int | None) -> Query:
    """``set_id``: that of the wanted set; where there is none such, one that no set has."""
    conditions: list[str] = []
    values: list[Any] = []

    def add(condition: str, value: Any) -> None:
        values.append(value)
        conditions.append(condition.format(f"${len(values)}"))

    marks = [f"'{mark(name, value)}'" for name, value in wanted.traits]
    if wanted.rarity is not None:
        if tsquery is None and not marks:
            add("c.rarity = {}", wanted.rarity)
        else:
            marks.append(f"'{mark('', wanted.rarity)}'")
    if tsquery is not None or marks:
        # What has no words is a search for nothing, and finds nothing.
        add("c.document @@ {}::text::tsquery", "" if tsquery == "" else " & ".join([*filter(None, [tsquery]), *marks]))
    if wanted.set is not None:
        add("c.set_id = {}::bigint", set_id or 0)
    on_cards = bool(conditions)
    if wanted.min_price is not None:
        add("m.open_auctions > 0 AND m.lowest_price >= {}", wanted.min_price)
    if wanted.max_price is not None:
        add("m.open_auctions > 0 AND m.lowest_price <= {}", wanted.max_price)
    if wanted.status is not None:
        conditions.append("m.open_auctions > 0" if wanted.status == "open" else "coalesce(m.open_auctions, 0) = 0")
    on_open = wanted.of_market() and wanted.status != "none"
    return Query(conditions, values, tsquery, on_cards, on_open)


def tsquery_of(groups: list[list[Phrase]]) -> str:
    """The text of a tsquery for cards that have one phrase of each group; what was asked for comes first in a group."""
    return " & ".join(map(_either, groups))


def _either(group: list[Phrase]) -> str:
    phrases = [" <-> ".join([f"'{word}'" for word in phrase]) for phrase in group]
    if stands_for_longer(group[0][-1]):
        phrases[0] += ":*"
    return "(" + " | ".join(phrases) + ")"


def page_of_cards(query: Query, sort: str, after: Place | None, limit: int) -> tuple[str, list[Any]]:
    """The statement and its values: CARD_COLUMNS and a place of cards in this order, after that (place, card)."""
    if sort == "relevance" and query.words is not None:
        return _ranked(query, after, limit)
    values, conditions = [*query.values], [*query.conditions]
    place, order = "0", "c.card_id DESC"
    if sort == "name":
        place = "lower(c.name)"
        order = f"{place}, c.card_id"
    elif sort in MARKET_SORTS:
        column, falling = MARKET_SORTS[sort]
        place = f"m.{column}"
        order = f"{place} DESC, c.card_id DESC" if falling else f"{place}, c.card_id"
        # A card that is in bundles alone has no price.
        conditions.append(f"m.open_auctions > 0 AND {place} IS NOT NULL")
    if after is not None:
        values += [after[1]]
        card = f"${len(values)}"
        if place == "0":
            conditions.append(f"c.card_id < {card}")
        else:
            values += [after[0]]
            beyond = "<" if MARKET_SORTS.get(sort, ("", False))[1] else ">"
            conditions.append(f"({place}, c.card_id) {beyond} (${len(values)}, {card})")
    where = " AND ".join(conditions) or "true"
    return f"SELECT {CARD_COLUMNS}, {place} FROM {FROM_CARDS} WHERE {where} ORDER BY {order} LIMIT {int(limit)}", values


def _ranked(query: Query, after: Place | None, limit: int) -> tuple[str, list[Any]]:
    """The best of the newest RANKED_MAX cards that match."""
    values = [*query.values, query.words, *(after or (PRICE_MAX, 0))]
    words, rank, card = len(values) - 2, len(values) - 1, len(values)
    statement = f"""
        WITH newest AS (
            SELECT c.card_id, c.document FROM cards c LEFT JOIN card_market m ON m.card_id = c.card_id
            WHERE {query.where()} ORDER BY c.card_id DESC LIMIT {RANKED_MAX}
        ), ranked AS (
            SELECT card_id, (ts_rank(document, ${words}::text::tsquery) * 1000000)::bigint AS rank FROM newest
        ), best AS (
            SELECT card_id, rank FROM ranked
            WHERE rank < ${rank}::bigint OR (rank = ${rank}::bigint AND card_id > ${card}::bigint)
            ORDER BY -rank, card_id LIMIT {int(limit)}
        )
        SELECT {CARD_COLUMNS}, best.rank FROM best JOIN cards c ON c.card_id = best.card_id
        LEFT JOIN card_sets s ON s.set_id = c.set_id LEFT JOIN card_market m ON m.card_id = c.card_id
        ORDER BY -best.rank, c.card_id
    """
    return statement, values
