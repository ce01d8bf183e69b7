"""Users who trade over WebSockets: offer, accept, confirm, and what they see of it on the channel of the trade."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from bench.loads.processes import ProcessFailed
from bench.wire.accounts import Account, Roster
from bench.wire.client import Incoming, WireClient
from bench.wire.rest_client import RestClient
from bench.wire.trades import USD, leg

SEEN_WITHIN_S = 60.0
# After these a trade goes nowhere else by itself.
SETTLED = frozenset({"executed", "failed", "invalid", "expired", "declined", "withdrawn"})
_OVER = {"invalidated": "invalid"}


async def new_card(rest: RestClient, operator: str, card_set: str) -> str:
    """The id of a new card."""
    body = {"set": card_set, "number": "1", "name": "Bench card", "rarity": "rare"}
    await rest.post(operator, "/admin/catalog/cards", body)
    return str((await rest.get(operator, f"/catalog/cards?set={card_set}&limit=1"))["items"][0]["id"])


async def new_copy(rest: RestClient, operator: str, card: str, owner: Account) -> str:
    """The id of a new copy that this user has."""
    made = await rest.post(operator, f"/admin/catalog/cards/{card}/copies", {"owner": owner.username})
    return str(made["copies"][0])


@dataclass
class Tally:
    """What the traders of one run have done: when each trade was executed, and the latencies of their commands."""

    executed_s: list[float] = field(default_factory=list)
    # (when it was answered, latency), both seconds.
    acks: list[tuple[float, float]] = field(default_factory=list)

    def between(self, began_s: float, ends_s: float) -> tuple[int, list[float]]:
        """Trades, and latencies (s), of this time."""
        trades = sum(began_s <= at < ends_s for at in self.executed_s)
        return trades, [ack for at, ack in self.acks if began_s <= at < ends_s]


class Trader:
    """A user with a socket, who waits for the end of trades on their channels."""

    def __init__(self, account: Account, client: WireClient, tally: Tally) -> None:
        self.account = account
        self.client = client
        self._tally = tally
        self._ends: dict[str, asyncio.Future[str]] = {}
        client.on_event = self._receive

    @classmethod
    async def connect(cls, base_url: str, roster: Roster, name: str, tally: Tally) -> "Trader":
        """Raises ConnectionLost."""
        return cls(roster.account(name), await WireClient.connect(base_url, roster.token(name)), tally)

    async def command(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a command with a new key. Raises RequestRefused, ConnectionLost, NotAnswered."""
        sent_s = time.perf_counter()
        reply = await self.client.request(op, key=uuid4().hex, **fields)
        answered_s = time.perf_counter()
        self._tally.acks.append((answered_s, answered_s - sent_s))
        return reply

    async def watch(self, trade: str) -> "asyncio.Future[str]":
        """Subscribe to a trade; the result is the status with which it ends."""
        end = self._ends[trade] = asyncio.get_running_loop().create_future()
        reply = await self.client.subscribe(f"trade:{trade}")
        self._see(trade, reply["state"]["status"])
        return end

    async def unwatch(self, trade: str) -> None:
        """Unsubscribe."""
        self._ends.pop(trade, None)
        await self.client.request("unsubscribe", channel=f"trade:{trade}")

    def _receive(self, update: Incoming) -> None:
        kind, _, trade = (update.channel or "").partition(":")
        if kind == "trade":
            status = (update.data or {}).get("status", "") if update.type == "state" else update.type
            self._see(trade, _OVER.get(status, status))

    def _see(self, trade: str, status: str) -> None:
        end = self._ends.get(trade)
        if end is not None and status in SETTLED and not end.done():
            end.set_result(status)


@dataclass
class Pair:
    """Two users who trade with each other again and again: a copy for a copy, or for money, and back."""

    one: Trader
    other: Trader
    one_copy: str
    other_copy: str | None
    tally: Tally

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Trade until then. Raises ProcessFailed when a trade is not executed, and what `command` does."""
        while not stopped():
            await self.trade()

    async def trade(self) -> None:
        """One trade, from the offer until both have seen that it is executed."""
        one, other = self.one, self.other
        given, got = [self.one_copy], [] if self.other_copy is None else [self.other_copy]
        legs = [leg(one.account, other.account, given), leg(other.account, one.account, got, 0 if got else USD)]
        offered = await one.command("trade_offer", legs=legs)
        trade = str(offered["trade"])
        ends = await asyncio.gather(one.watch(trade), other.watch(trade))
        agreed = await other.command("trade_accept", trade=trade, hash=offered["hash"])
        await asyncio.gather(
            *(each.command("trade_confirm", trade=trade, hash=agreed["hash"]) for each in (one, other))
        )
        async with asyncio.timeout(SEEN_WITHIN_S):
            seen = await asyncio.gather(*ends)
        if set(seen) != {"executed"}:
            raise ProcessFailed(f"trade {trade} is not executed: {seen}")
        self.tally.executed_s.append(time.perf_counter())
        await asyncio.gather(one.unwatch(trade), other.unwatch(trade))
        self._change_hands()

    def _change_hands(self) -> None:
        """Who has given a copy for money buys it back."""
        if self.other_copy is None:
            self.one, self.other = self.other, self.one
        else:
            self.one_copy, self.other_copy = self.other_copy, self.one_copy
