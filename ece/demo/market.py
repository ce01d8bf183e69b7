"""Creates the demo's users, copies and auctions in a running engine, over REST."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from bench.wire.rest_client import RestRefused
from ece.demo.cards import DemoCard
from ece.demo.stock import OPERATOR, PEOPLE, Lot, stock_of

PAGE = 100
GRADER = "DEMO"
# Refusals to expect: somebody else bid more meanwhile.
OUTBID_CODES = frozenset({"bid_too_low", "already_leading", "auction_closed", "buy_now_gone"})


class Filled(msgspec.Struct):
    """What was created; what existed already is not counted."""

    copies: int = 0
    auctions: int = 0
    bids: int = 0


class Calls(Protocol):
    """REST as users by name. May raise RestRefused and httpx.TransportError."""

    async def get(self, user: str, path: str) -> dict[str, Any]: ...
    async def post(self, user: str, path: str, body: dict[str, Any]) -> dict[str, Any]: ...


async def fill(calls: Calls, cards: list[DemoCard], on_card: Callable[[], None] = lambda: None) -> Filled:
    """Copies for cards that have none, auctions of what is to be sold and is free; ``on_card`` after each card."""
    filled = Filled()
    ids = await _ids(calls, {card.set.code for card in cards})

    async def one(card: DemoCard) -> None:
        await _stock(calls, card, ids[card.set.code, f"{card.number:02d}"], filled)
        on_card()

    # The client lets few through at a time.
    await asyncio.gather(*map(one, cards))
    return filled


async def _ids(calls: Calls, sets: set[str]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for code in sorted(sets):
        page = await calls.get(OPERATOR, f"/catalog/cards?set={code}&limit={PAGE}")
        found |= {(code, item["number"]): item["id"] for item in page["items"]}
    return found


async def _stock(calls: Calls, card: DemoCard, card_id: str, filled: Filled) -> None:
    stock = stock_of(card)
    there = (await calls.get(OPERATOR, f"/catalog/cards/{card_id}/copies?limit=1"))["items"]
    if not there:
        graded = {} if stock.grade is None else {"grader": GRADER, "grade": stock.grade}
        for owner in stock.owners:
            await calls.post(OPERATOR, f"/admin/catalog/cards/{card_id}/copies", {"owner": owner} | graded)
            filled.copies += 1
        there = (await calls.get(OPERATOR, f"/catalog/cards/{card_id}/copies?limit=1"))["items"]
    first = there[0]
    if stock.lot is not None and first["place"] == "free" and first["owner"] in PEOPLE:
        await _sell(calls, stock.lot, first, filled)


async def _sell(calls: Calls, lot: Lot, copy: dict[str, Any], filled: Filled) -> None:
    auction = await calls.post(copy["owner"], "/auctions", lot.terms(copy["id"]))
    filled.auctions += 1
    for bidder, amount in lot.bids:
        if bidder == copy["owner"]:
            continue
        try:
            await calls.post(bidder, f"/auctions/{auction['id']}/bids", {"amount": amount})
            filled.bids += 1
        except RestRefused as refused:
            if refused.code not in OUTBID_CODES:
                raise
