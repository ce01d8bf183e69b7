"""Users who sell, trade and mint."""

from typing import Any
from uuid import uuid4

import gevent
from locust.exception import StopUser

from bench.locust.line import Line
from bench.locust.plan import Identity, Pair
from bench.locust.prepare import STARTING_PRICE, STEP, USD
from bench.locust.state import now_s
from bench.locust.users.person import Person, SocketPerson
from ece_client import EceError

LASTS_S = (5, 30)
CANCELLED, COUNTERED, WITHDRAWN = 0.1, 0.3, 0.15
MINTED_AT_ONCE = 5
EXECUTED_WITHIN = 40
POLL_S = 0.25


class Seller(SocketPerson):
    """Lists auctions of copies while there are some, then of plain lots; watches them, and cancels some."""

    def prepare(self) -> None:
        stock = self.load.share_of("stock", self.load.plan.stocks)
        assert stock is not None, "every plan has sellers"
        self.line = Line(self.load, stock.seller)
        self._copies = list(stock.copies)

    def operate(self, due_s: float) -> None:
        token = self.line.identity.token
        terms: dict[str, Any] = {
            "title": f"Lot {uuid4().hex[:8]}",
            "format": "english",
            "starting_price": STARTING_PRICE,
            "increments": [[0, STEP]],
            "duration_ms": self.load.chance.randint(*LASTS_S) * 1000,
        }
        if self._copies:
            terms["copies"] = [self._copies.pop()]
        state = self.rest("list", due_s, "POST", "/auctions", token, terms)
        if state is None:
            return
        if self.load.chance.random() < CANCELLED:
            # Nobody knows of it yet, so nobody has bid.
            self.rest("cancel", due_s, "POST", f"/auctions/{state['id']}/cancel", token, {})
            return
        self.line.follow(self.load.book.learn(state["id"], state["minimum"], state["ends_at"]))


class Trader(Person):
    """Two users who trade again and again: an offer, sometimes a counter-offer, acceptance and confirmations; some
    offers are withdrawn."""

    # The same copies can't be in two trades.
    unfinished_max = 1

    def prepare(self) -> None:
        pair = self.load.share_of("pair", self.load.plan.pairs)
        if pair is None:
            raise StopUser  # no operator, so no copies
        self._pair: Pair = pair
        # A trade may have been executed without this user's knowledge.
        self._unsure = False
        self._lines = {one.id: Line(self.load, one) for one in (pair.one, pair.other)}

    def operate(self, due_s: float) -> None:
        if self._unsure and not self._look_who_has_what():
            return
        pair, chance = self._pair, self.load.chance
        offered = self._command("offer", due_s, pair.one, "trade_offer", legs=_legs(pair, 0))
        if offered is None:
            self._unsure = True
            return
        trade, terms = str(offered["trade"]), str(offered["hash"])
        if chance.random() < WITHDRAWN:
            self._command("withdraw", None, pair.one, "trade_decline", trade=trade)
            return
        accepting = pair.other
        if chance.random() < COUNTERED:
            legs = _legs(pair, USD)
            countered = self._command("counter", None, pair.other, "trade_counter", trade=trade, version=1, legs=legs)
            if countered is None:
                return
            terms, accepting = str(countered["hash"]), pair.one
        self._unsure = True
        if self._command("accept", None, accepting, "trade_accept", trade=trade, hash=terms) is None:
            return
        confirmed = [
            self._command("confirm", None, one, "trade_confirm", trade=trade, hash=terms)
            for one in (pair.one, pair.other)
        ]
        if None not in confirmed and self._executed(trade):
            self._pair, self._unsure = _after_trade(pair), False

    def _look_who_has_what(self) -> bool:
        """Whether it is known now."""
        pair = self._pair
        copy = self.rest("copy", now_s(), "GET", f"/copies/{pair.one_copy}", pair.one.token)
        if copy is None:
            return False
        self._pair = pair if copy["owner"] == pair.one.username else _after_trade(pair)
        self._unsure = False
        return True

    def _command(self, name: str, due_s: float | None, by: Identity, op: str, **fields: Any) -> dict[str, Any] | None:
        """`due_s` is None for a command that follows from the answer to another one."""
        from_s = now_s() if due_s is None else due_s
        return self._lines[by.id].request(name, from_s, op, key=uuid4().hex, **fields)

    def _executed(self, trade: str) -> bool:
        """Whether the trade is executed within a bounded time. The wait is no operation of a user, so not measured."""
        for _ in range(EXECUTED_WITHIN):
            try:
                state = self.load.rest.request("GET", f"/trades/{trade}", self._pair.one.token)
            except EceError:
                return False
            if state["status"] == "executed":
                return True
            gevent.sleep(POLL_S)
        self.load.measures.record("ack", "execution", EXECUTED_WITHIN * POLL_S * 1000, "not_executed")
        return False

    def leave(self) -> None:
        for line in getattr(self, "_lines", {}).values():
            line.close()


def _legs(pair: Pair, money: int) -> list[dict[str, Any]]:
    one, other = pair.one.id, pair.other.id
    return [
        {"giver": one, "receiver": other, "copies": [pair.one_copy], "money": money},
        {"giver": other, "receiver": one, "copies": [pair.other_copy], "money": 0},
    ]


def _after_trade(pair: Pair) -> Pair:
    """The pair after its trade: each has the copy of the other."""
    return Pair(pair.one, pair.other, pair.other_copy, pair.one_copy)


class Minter(Person):
    """Requests copies of a card, and follows the request until they are minted."""

    def prepare(self) -> None:
        if self.load.plan.minter is None or self.load.plan.minted_card is None:
            raise StopUser
        self._token = self.load.plan.minter.token
        self._card = self.load.plan.minted_card
        self._request: str | None = None

    def operate(self, due_s: float) -> None:
        if self._request is None:
            count = self.load.chance.randint(1, MINTED_AT_ONCE)
            made = self.rest("mint", due_s, "POST", "/mints", self._token, {"card": self._card, "count": count})
            self._request = None if made is None else str(made["id"])
            return
        found = self.rest("mint progress", due_s, "GET", f"/mints/{self._request}", self._token)
        if found is None or found["state"] != "minting":
            self._request = None
