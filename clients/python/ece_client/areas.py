"""The areas of the REST API, typed: auctions, catalog, wallet, trades. `Rest` has every other path."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from ece_client.rest import Rest
from ece_client.values import (
    AuctionState,
    Balance,
    Bid,
    Card,
    CardCopy,
    CardSet,
    Deposit,
    Entry,
    Leg,
    TradeOutcome,
    TradeState,
    TradeSummary,
    Value,
    Withdrawal,
)


class Auctions:
    """Listing and reading auctions. Bids are in `Client`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def create(
        self, title: str, starting_price: int, duration_ms: int, *, key: str | None = None, **terms: Any
    ) -> AuctionState:
        """List an auction. `terms` are the optional fields of docs/protocol.md, "Listing an auction"."""
        body = {"title": title, "starting_price": starting_price, "duration_ms": duration_ms, **terms}
        return await self._rest.post("/auctions", AuctionState, body, key)

    async def get(self, auction: str) -> AuctionState:
        """Its state, from its host while it is live."""
        return await self._rest.get(f"/auctions/{auction}", AuctionState)

    def list(
        self, *, status: str | None = None, seller: str | None = None, sort: str | None = None
    ) -> AsyncIterator[AuctionState]:
        """Auctions, the newest first; with `sort="ending"` those that end first. Up to a second behind."""
        return self._rest.pages("/auctions", AuctionState, {"status": status, "seller": seller, "sort": sort})

    def bids(self, auction: str) -> AsyncIterator[Bid]:
        """All bids that counted, the oldest first."""
        return self._rest.pages(f"/auctions/{auction}/bids", Bid)

    async def cancel(self, auction: str, *, key: str | None = None) -> AuctionState:
        """Cancel an auction of one's own before its first bid."""
        return await self._rest.post(f"/auctions/{auction}/cancel", AuctionState, None, key)


class Catalog:
    """Cards and their copies."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def card(self, card: str) -> Card:
        """One card."""
        return await self._rest.get(f"/catalog/cards/{card}", Card)

    def cards(self, q: str | None = None, **filters: str | int | None) -> AsyncIterator[Card]:
        """Cards that match: `q`, `set`, `rarity`, `min_price`, `max_price`, `status`, `sort`."""
        return self._rest.pages("/catalog/cards", Card, {"q": q, **filters})

    def sets(self) -> AsyncIterator[CardSet]:
        """All sets."""
        return self._rest.pages("/catalog/sets", CardSet)

    def copies(self, card: str) -> AsyncIterator[CardCopy]:
        """The copies of a card."""
        return self._rest.pages(f"/catalog/cards/{card}/copies", CardCopy)

    def my_copies(self, place: str | None = None) -> AsyncIterator[CardCopy]:
        """One's own copies; with `place="free"` those that can be sold."""
        return self._rest.pages("/users/me/copies", CardCopy, {"place": place})


class _Balances(Value, frozen=True):
    balances: list[Balance]


class Wallet:
    """One's money in the ledger."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def balance(self, currency: str = "USDC") -> Balance:
        """The account in this currency. Raises KeyError for one that the engine doesn't have."""
        answer = await self._rest.get("/ledger/balance", _Balances)
        return {balance.currency: balance for balance in answer.balances}[currency]

    def entries(self, *, currency: str | None = None, kind: str | None = None) -> AsyncIterator[Entry]:
        """One's entries, the newest first."""
        return self._rest.pages("/ledger/entries", Entry, {"currency": currency, "kind": kind})

    async def deposit(self, amount: int, currency: str = "USDC", *, key: str | None = None) -> Deposit:
        """Money out of the faucet of a test engine. Raises Refused `faucet_off` elsewhere."""
        return await self._rest.post("/ledger/deposits", Deposit, {"amount": amount, "currency": currency}, key)

    async def withdraw(
        self, amount: int, destination: str, currency: str = "USDC", *, code: str | None = None, key: str | None = None
    ) -> Withdrawal:
        """Pay out to the address of a wallet; `code` of the second factor, if one has one."""
        body = {"amount": amount, "currency": currency, "destination": destination}
        if code is not None:
            body["code"] = code
        return await self._rest.post("/ledger/withdrawals", Withdrawal, body, key)


class Trades:
    """Negotiated trades. `Client.follow("trade:<id>")` follows one."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def offer(self, legs: Sequence[Leg], message: str = "", *, key: str | None = None) -> TradeState:
        """A new offer."""
        return await self._rest.post("/trades", TradeState, {"legs": _bodies(legs), "message": message}, key)

    async def get(self, trade: str) -> TradeState:
        """Its state."""
        return await self._rest.get(f"/trades/{trade}", TradeState)

    def list(self, *, status: str | None = None) -> AsyncIterator[TradeSummary]:
        """One's own trades, the newest first."""
        return self._rest.pages("/trades", TradeSummary, {"status": status})

    async def counter(
        self, trade: str, version: int, legs: Sequence[Leg], message: str = "", *, key: str | None = None
    ) -> TradeOutcome:
        """A counter-offer in place of the offer of this version."""
        return await self._do(trade, "counter", key, version=version, legs=_bodies(legs), message=message)

    async def accept(self, trade: str, hash: str, *, key: str | None = None) -> TradeOutcome:
        """Accept exactly the terms with this hash."""
        return await self._do(trade, "accept", key, hash=hash)

    async def confirm(self, trade: str, hash: str, *, code: str | None = None, key: str | None = None) -> TradeOutcome:
        """Confirm what all have accepted; `code` of the second factor, if one has one."""
        return await self._do(trade, "confirm", key, hash=hash, **({} if code is None else {"code": code}))

    async def decline(self, trade: str, *, key: str | None = None) -> TradeOutcome:
        """End the negotiation."""
        return await self._do(trade, "decline", key)

    async def _do(self, trade: str, action: str, key: str | None, **body: Any) -> TradeOutcome:
        return await self._rest.post(f"/trades/{trade}/{action}", TradeOutcome, body, key)


def _bodies(legs: Sequence[Leg]) -> list[dict[str, Any]]:
    return [
        {"giver": leg.giver, "receiver": leg.receiver, "copies": list(leg.copies), "money": leg.money} for leg in legs
    ]
