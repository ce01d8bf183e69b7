"""Pairs of users who trade with each other, and record all of it."""

import asyncio
import math
from typing import Any

from bench.faults.trades.recording import Offer, TradeAck, TradeOrder, TradeRecording
from domain.ids import id_text, parse_id
from domain.trade.commands import Accept, Command, Confirm, Counter, Decline, SendMessage
from domain.trade.terms import Leg
from tests.simulation.clients import User, Watcher, World
from tests.virtual_time import until

USD = 1_000_000
WAIT_S = 0.01


class Trader(User):
    """A user who trades."""

    def __init__(self, world: World, user: int, recording: TradeRecording) -> None:
        super().__init__(world, user)
        self._recording = recording
        self._keys = 0
        # Offers that were refused: by then the copies of the pair's last trade are free.
        self.refused: list[str] = []

    def new_key(self) -> str:
        self._keys += 1
        return f"k{self._keys}"

    async def offer(self, legs: tuple[Leg, ...]) -> dict[str, Any] | None:
        """The reply; None: it was refused."""
        key = self.new_key()
        self._recording.offers.append(Offer(self.user, f"{self.user}-{key}", legs))
        reply = await self.surely("trade_offer", key=key, legs=_frames(legs))
        if not reply["ok"]:
            self.refused.append(f"the offer of {legs}: {reply['error']}")
            return None
        self._recording.offered[f"{self.user}-{key}"] = parse_id(reply["trade"])
        return reply

    async def send(self, op: str, trade: str, command: Command, **fields: Any) -> dict[str, Any]:
        """The reply. ``command``: the same as the rules have it."""
        key: str = command.key  # type: ignore[union-attr]
        order = TradeOrder(parse_id(trade), self.user, key, command)
        self._recording.orders.append(order)
        for _ in range(2 if self.world.dice.random() < 0.2 else 1):
            reply = await self.surely(op, trade=trade, key=key, **fields)
            if reply["ok"]:
                seq, at, outcome = reply["seq"], reply["at"], reply["outcome"]
                ack = TradeAck(order, seq, at, outcome, reply.get("hash"), reply.get("number"))
                self._recording.acks.append(ack)
            else:
                self._recording.refused.append((order, reply["error"]["code"]))
        return reply

    async def accept(self, trade: str, hash_: str) -> dict[str, Any]:
        return await self.send("trade_accept", trade, Accept(self.user, self.new_key(), hash_), hash=hash_)

    async def confirm(self, trade: str, hash_: str) -> dict[str, Any]:
        return await self.send("trade_confirm", trade, Confirm(self.user, self.new_key(), hash_), hash=hash_)

    async def decline(self, trade: str) -> dict[str, Any]:
        return await self.send("trade_decline", trade, Decline(self.user, self.new_key()))

    async def say(self, trade: str, text: str) -> dict[str, Any]:
        return await self.send("trade_message", trade, SendMessage(self.user, self.new_key(), text), text=text)

    async def counter(self, trade: str, legs: tuple[Leg, ...]) -> dict[str, Any]:
        command = Counter(self.user, self.new_key(), 1, legs)
        return await self.send("trade_counter", trade, command, version=1, legs=_frames(legs))


class Pair:
    """Two traders who exchange a copy for another, or for money, a number of times."""

    def __init__(
        self, world: World, users: tuple[int, int], copies: tuple[int, int], recording: TradeRecording, trades: int
    ) -> None:  # fmt: skip
        self.done = False
        self._world = world
        self._recording = recording
        self.traders = tuple(Trader(world, user, recording) for user in users)
        self._copies = copies
        self._trades = trades
        self.traders[0].process.spawn(self._run())

    async def _run(self) -> None:
        dice = self._world.dice
        for number in range(self._trades):
            # Often as soon as the last one is over.
            await asyncio.sleep(max(0.0, dice.random() - 0.5))
            one, other = self.traders if dice.random() < 0.5 else reversed(self.traders)
            legs = self._legs(one, other)
            offered = await one.offer(legs) if legs else None
            if offered is not None:
                trade: str = offered["trade"]
                for who in (one, other):
                    name = f"w{who.user}.{number}"
                    Watcher(self._world, "trade", trade, self._recording, who.user, name)
                await self._negotiate(one, other, trade, str(offered["hash"]), legs)
                await self._ended(trade)
        self.done = True

    def _legs(self, one: Trader, other: Trader) -> tuple[Leg, ...]:
        """A copy of the one for a copy of the other, or for money."""
        owners = self._world.machinery.database.copy_locks.owners
        mine = [copy for copy in self._copies if owners[copy] == one.user]
        theirs = [copy for copy in self._copies if owners[copy] == other.user]
        if not mine:
            return ()
        if theirs and self._world.dice.random() < 0.5:
            return (Leg(one.user, other.user, (mine[0],), 0), Leg(other.user, one.user, (theirs[0],), 0))
        return (Leg(one.user, other.user, (mine[0],), 0), Leg(other.user, one.user, (), 3 * USD))

    async def _negotiate(self, one: Trader, other: Trader, trade: str, hash_: str, legs: tuple[Leg, ...]) -> None:
        course = self._world.dice.randrange(6)
        if course == 0:
            legs = (legs[0], Leg(legs[1].giver, legs[1].receiver, legs[1].copies, legs[1].money + USD))
            countered = await other.counter(trade, legs)
            if not countered["ok"]:
                return
            one, other, hash_ = other, one, str(countered["hash"])
        if course == 1:
            agreed, _ = await asyncio.gather(other.accept(trade, hash_), one.decline(trade))
        else:
            agreed = await other.accept(trade, hash_)
        if course == 2:
            await other.say(trade, "as agreed")
        if not agreed["ok"] or course == 3:
            await other.decline(trade)
            return
        hash_ = str(agreed["hash"])
        if course == 4:
            await asyncio.gather(one.confirm(trade, hash_), other.confirm(trade, hash_))
            return
        await one.confirm(trade, hash_)
        await other.confirm(trade, hash_)

    async def _ended(self, trade: str) -> None:
        """As the log has it."""
        executions = self._world.machinery.database.executions
        await until(
            lambda: _is_over(executions.state_of(parse_id(trade)).status.value), within_s=math.inf, step_s=WAIT_S
        )


def _is_over(status: str) -> bool:
    return status not in ("open", "agreed", "confirmed")


def _frames(legs: tuple[Leg, ...]) -> list[dict[str, Any]]:
    return [
        {"giver": id_text(leg.giver), "receiver": id_text(leg.receiver), "money": leg.money}
        | {"copies": [id_text(copy) for copy in leg.copies]}
        for leg in legs
    ]
