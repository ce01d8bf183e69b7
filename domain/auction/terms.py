"""The terms of an auction: set by the seller when listing, and never changed."""

import msgspec

from domain.auction.increments import STANDARD_INCREMENTS, IncrementTable, increment_table_fault
from domain.money import AMOUNT_MAX

TITLE_LENGTH_MAX = 200
DURATION_MAX_MS = 366 * 24 * 3600 * 1000
EXTENSIONS_MAX = 10_000
COPIES_MAX = 50


class SoftClose(msgspec.Struct, frozen=True, array_like=True):
    """A valid bid in the last ``window_ms`` moves the end to at least now + ``extension_ms``."""

    window_ms: int
    extension_ms: int
    max_extensions: int | None = None


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """All prices in base units, all times in milliseconds since the Unix epoch. ``copies``: the ids of what is sold."""

    auction: int
    seller: int
    seller_name: str
    title: str
    starting_price: int
    starts_at: int
    ends_at: int
    reserve_price: int | None = None
    buy_now_price: int | None = None
    increments: IncrementTable = STANDARD_INCREMENTS
    soft_close: SoftClose | None = None
    format: str = "english"
    placement: str = "auto"
    copies: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        # Most have the standard table: when decoded from a log or a stream, they share one object.
        if self.increments == STANDARD_INCREMENTS and self.increments is not STANDARD_INCREMENTS:
            msgspec.structs.force_setattr(self, "increments", STANDARD_INCREMENTS)


def terms_fault(terms: Terms) -> str | None:
    """Why an auction can't be listed on these terms, or None when it can."""
    if not 1 <= len(terms.title) <= TITLE_LENGTH_MAX:
        return f"title must have 1 to {TITLE_LENGTH_MAX} characters"
    if any(ord(character) < 32 for character in terms.title):
        return "title must have no control characters"
    if not 1 <= terms.starting_price <= AMOUNT_MAX:
        return f"starting_price must be from 1 to {AMOUNT_MAX} base units"
    if not 0 < terms.ends_at - terms.starts_at <= DURATION_MAX_MS:
        return "ends_at must lie after starts_at, by 366 days at most"
    if len(terms.copies) > COPIES_MAX or len(set(terms.copies)) < len(terms.copies):
        return f"copies must be up to {COPIES_MAX} different ones"
    return _price_fault(terms) or _soft_close_fault(terms.soft_close) or increment_table_fault(terms.increments)


def _price_fault(terms: Terms) -> str | None:
    reserve, buy_now = terms.reserve_price, terms.buy_now_price
    if reserve is not None and not terms.starting_price <= reserve <= AMOUNT_MAX:
        return "reserve_price must be at least starting_price"
    if buy_now is not None and not terms.starting_price <= buy_now <= AMOUNT_MAX:
        return "buy_now_price must be at least starting_price"
    if buy_now is not None and reserve is not None and buy_now < reserve:
        return "buy_now_price must be at least reserve_price"
    return None


def _soft_close_fault(soft_close: SoftClose | None) -> str | None:
    if soft_close is None:
        return None
    if not 0 < soft_close.window_ms <= DURATION_MAX_MS or not 0 < soft_close.extension_ms <= DURATION_MAX_MS:
        return "soft_close.window_ms and extension_ms must be positive, 366 days at most"
    cap = soft_close.max_extensions
    if cap is not None and not 0 <= cap <= EXTENSIONS_MAX:
        return f"soft_close.max_extensions must be from 0 to {EXTENSIONS_MAX}"
    return None
