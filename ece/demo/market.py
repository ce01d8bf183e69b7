"""Creates the demo's users, copies and auctions in a running engine, over REST; and mints the copies on its chain."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from domain.errors import NO_CHAIN
from ece.demo.cards import DemoCard
from ece.demo.stock import OPERATOR, PEOPLE, Lot, stock_of
from ece_client import Refused

PAGE = 100
MINT_MAX = 50
MINTED_WITHIN_S = 180.0
MINTS_EVERY_S = 1.0
GRADER = "DEMO"
# Refusals to expect: somebody else bid more meanwhile.
OUTBID_CODES = frozenset({"bid_too_low", "already_leading", "auction_closed", "buy_now_gone"})


class Filled(msgspec.Struct):
    """What was created; what existed already is not counted."""

    copies: int = 0
    auctions: int = 0
    bids: int = 0
    # What became of each.
    trades: list[str] = []
    # Requests to mint the new copies: (user, id). None without a chain.
    mints: list[tuple[str, str]] | None = None


class Calls(Protocol):
    """REST as users by name. May raise what `ece_client.Rest` does."""

    async def get(self, user: str, path: str) -> dict[str, Any]: ...
    async def post(self, user: str, path: str, body: dict[str, Any]) -> dict[str, Any]: ...


async def fill(calls: Calls, cards: list[DemoCard], on_card: Callable[[], None] = lambda: None) -> Filled:
    """Copies for cards that have none, auctions of what is to be sold and is free; ``on_card`` after each card."""
    filled = Filled()
    ids = await _ids(calls, {card.set.code for card in cards})
    made: list[tuple[str, str]] = []
    listable: list[tuple[DemoCard, dict[str, Any]]] = []

    async def stock(card: DemoCard) -> None:
        first = await _stock(calls, card, ids[card.set.code, f"{card.number:02d}"], made)
        listable.append((card, first))
        on_card()

    # The client lets few through at a time.
    await asyncio.gather(*map(stock, cards))
    filled.copies = len(made)
    filled.mints = await _mint(calls, made)
    await asyncio.gather(*(_sell(calls, stock_of(card).lot, first, filled) for card, first in listable))
    return filled


async def minted(calls: Calls, mints: list[tuple[str, str]], on_done: Callable[[int], None]) -> int:
    """Wait until these requests are done, or for MINTED_WITHIN_S; ``on_done`` gets how many more are minted.

    Returns how many are.
    """
    done, deadline = 0, time.monotonic() + MINTED_WITHIN_S
    while time.monotonic() < deadline:
        states = await asyncio.gather(*(calls.get(user, f"/mints/{mint}") for user, mint in mints))
        now = sum(state["done"] for state in states)
        on_done(now - done)
        done = now
        if all(state["state"] != "minting" for state in states):
            break
        await asyncio.sleep(MINTS_EVERY_S)
    return done


async def _mint(calls: Calls, made: list[tuple[str, str]]) -> list[tuple[str, str]] | None:
    """Request to mint these (owner, copy); None without a chain."""
    mints = []
    for owner in PEOPLE:
        copies = [copy for user, copy in made if user == owner]
        for first in range(0, len(copies), MINT_MAX):
            try:
                mint = await calls.post(owner, "/mints", {"copies": copies[first : first + MINT_MAX]})
            except Refused as refused:
                if refused.code == NO_CHAIN:
                    return None
                raise
            mints.append((owner, mint["id"]))
    return mints


async def _ids(calls: Calls, sets: set[str]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for code in sorted(sets):
        page = await calls.get(OPERATOR, f"/catalog/cards?set={code}&limit={PAGE}")
        found |= {(code, item["number"]): item["id"] for item in page["items"]}
    return found


async def _stock(calls: Calls, card: DemoCard, card_id: str, made: list[tuple[str, str]]) -> dict[str, Any]:
    """The first copy of a card; copies are made if there is none."""
    stock = stock_of(card)
    there = (await calls.get(OPERATOR, f"/catalog/cards/{card_id}/copies?limit=1"))["items"]
    if not there:
        graded = {} if stock.grade is None else {"grader": GRADER, "grade": stock.grade}
        for owner in stock.owners:
            new = await calls.post(OPERATOR, f"/admin/catalog/cards/{card_id}/copies", {"owner": owner} | graded)
            made += [(owner, copy) for copy in new["copies"]]
        there = (await calls.get(OPERATOR, f"/catalog/cards/{card_id}/copies?limit=1"))["items"]
    first: dict[str, Any] = there[0]
    return first


async def _sell(calls: Calls, lot: Lot | None, copy: dict[str, Any], filled: Filled) -> None:
    if lot is None or copy["place"] != "free" or copy["owner"] not in PEOPLE:
        return
    auction = await calls.post(copy["owner"], "/auctions", lot.terms(copy["id"]))
    filled.auctions += 1
    for bidder, amount in lot.bids:
        if bidder == copy["owner"]:
            continue
        try:
            await calls.post(bidder, f"/auctions/{auction['id']}/bids", {"amount": amount})
            filled.bids += 1
        except Refused as refused:
            if refused.code not in OUTBID_CODES:
                raise
