"""Pairs of users who trade with each other, and record everything that they send and receive about it."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from bench.faults.clients import OPTIONS, Watcher
from bench.faults.trades.recording import Offer, TradeAck, TradeOrder, TradeRecording
from bench.wire.accounts import Account
from bench.wire.trades import USD, leg
from domain.ids import parse_id
from domain.trade.commands import Accept, Command, Confirm, Counter, Decline
from domain.trade.terms import Leg
from ece_client import Client, Refused

SURE_WITHIN_S = 90.0
# Every so many commands one is sent again although it was answered: the same key must give the same answer.
REPEAT_EVERY = 5
SETTLED = frozenset({"executed", "failed", "invalidated", "declined"})
POLL_S = 0.02

# What a pair has just reached, for those who kill processes at that moment.
OFFERED, ACCEPTED, CONFIRMING, EXECUTING, EXECUTED = STEPS = (
    "offered", "accepted", "confirming", "executing", "executed"
)  # fmt: skip


class TradeWatcher(Watcher):
    """A party that follows a trade."""

    kind = "trade"

    @property
    def settled(self) -> bool:
        """Whether it has received that nothing more is to come."""
        return any(event.type in SETTLED for event in self.seen.events) or any(
            state.state["status"] in SETTLED for state in self.seen.states
        )


@dataclass
class Trader:
    """A user with the Python client. Commands are sent until their outcome is known."""

    base_url: str
    account: Account
    recording: TradeRecording
    _client: Client | None = None
    _sent: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def id(self) -> int:
        """The user's number."""
        return parse_id(self.account.id)

    async def offer(self, legs: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns the reply."""
        key = uuid4().hex
        self.recording.offers.append(Offer(self.id, key, rules_legs(legs)))
        reply = await self._surely("trade_offer", key=key, legs=legs)
        assert not isinstance(reply, Refused), f"the offer of {legs} was refused: {reply}"
        self.recording.offered[key] = parse_id(reply["trade"])
        return reply

    async def send(self, op: str, trade: str, command: Command, key: str, **fields: Any) -> dict[str, Any] | Refused:
        """Send a command, recorded as this one of the rules."""
        order = TradeOrder(parse_id(trade), self.id, key, command)
        self.recording.orders.append(order)
        for _ in range(2 if next(self._sent) % REPEAT_EVERY == 0 else 1):
            reply = await self._surely(op, trade=trade, key=key, **fields)
            if isinstance(reply, Refused):
                reply.add_note(f"to {op} of trade {trade}, key {key}")
                self.recording.refused.append((order, reply.code))
            else:
                seq, at, outcome = (reply[name] for name in ("seq", "at", "outcome"))
                ack = TradeAck(order, seq, at, outcome, reply.get("hash"), reply.get("number"))
                self.recording.acks.append(ack)
        return reply

    async def _surely(self, op: str, key: str, **fields: Any) -> dict[str, Any] | Refused:
        if self._client is None:
            self._client = Client(self.base_url, token=self.account.token, options=OPTIONS)
            await self._client.connect()
        try:
            return await self._client.command(op, key, SURE_WITHIN_S, **fields)
        except Refused as refusal:
            return refusal

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._client.close()


@dataclass
class TradingPair:
    """Two users, each with a copy, who exchange them again and again, or the first copy for money.

    Some offers are countered, some are declined. ``on_step`` is called with what they have just reached.
    """

    one: Trader
    other: Trader
    copies: tuple[str, str]
    for_money: bool
    on_step: Callable[[str], None]
    stopping: bool = False
    watchers: list[TradeWatcher] = field(default_factory=list)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def run(self) -> None:
        """Until `stopping`, and then until the last trade is over."""
        try:
            for number in itertools.count():
                if self.stopping:
                    return
                await self._trade(number)
        finally:
            for trader in (self.one, self.other):
                await trader.close()

    async def stop_watching(self) -> None:
        """Hang up, once the watchers are where the logs are."""
        for watcher in self.watchers:
            await watcher.stop()
        await asyncio.gather(*self._tasks)

    async def _trade(self, number: int) -> None:
        one, other = self.one, self.other
        legs = [
            leg(one.account, other.account, [self.copies[0]]),
            leg(other.account, one.account, [] if self.for_money else [self.copies[1]], USD * self.for_money),
        ]
        offered = await one.offer(legs)
        trade, hash_ = str(offered["trade"]), str(offered["hash"])
        mine = [TradeWatcher(one.base_url, trade, one.recording, each.account.token) for each in (one, other)]
        self.watchers += mine
        self._tasks += [asyncio.create_task(watcher.run()) for watcher in mine]
        self.on_step(OFFERED)
        if number % 3 == 2:
            legs[1]["money"] += USD
            key = uuid4().hex
            countered = await other.send(
                "trade_counter", trade, Counter(other.id, key, 1, rules_legs(legs)), key, version=1, legs=legs
            )
            one, other, hash_ = other, one, str(_done(countered)["hash"])
        key = uuid4().hex
        agreed = _done(await other.send("trade_accept", trade, Accept(other.id, key, hash_), key, hash=hash_))
        self.on_step(ACCEPTED)
        if number % 7 == 6:
            key = uuid4().hex
            _done(await other.send("trade_decline", trade, Decline(other.id, key), key))
        else:
            for each in (one, other):
                self.on_step(CONFIRMING)
                key, hash_ = uuid4().hex, str(agreed["hash"])
                _done(await each.send("trade_confirm", trade, Confirm(each.id, key, hash_), key, hash=hash_))
            self.on_step(EXECUTING)
        await self._settled(mine)
        # Nothing comes after that; a long run would have thousands of connections otherwise.
        for watcher in mine:
            await watcher.stop()
        if number % 7 != 6:
            self.on_step(EXECUTED)
            self._change_hands()

    async def _settled(self, watchers: list[TradeWatcher]) -> None:
        async with asyncio.timeout(SURE_WITHIN_S):
            while True:
                if all(watcher.settled for watcher in watchers):
                    return
                await asyncio.sleep(POLL_S)

    def _change_hands(self) -> None:
        if self.for_money:
            # The buyer sells it back.
            self.one, self.other = self.other, self.one
        else:
            self.copies = self.copies[1], self.copies[0]


def _done(reply: dict[str, Any] | Refused) -> dict[str, Any]:
    assert not isinstance(reply, Refused), f"{reply}, {reply.__notes__}"
    return reply


def rules_legs(legs: list[dict[str, Any]]) -> tuple[Leg, ...]:
    """These legs as the rules take them."""
    return tuple(
        Leg(parse_id(one["giver"]), parse_id(one["receiver"]), tuple(map(parse_id, one["copies"])), one["money"])
        for one in legs
    )
