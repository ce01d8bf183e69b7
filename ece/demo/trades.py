"""Trades between the demo's users, one in each state that needs no waiting, over REST."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ece.demo.market import Calls
from ece.demo.stock import PEOPLE

PAGE = 100
PRICE = 5_000_000
EXECUTED_WITHIN_S = 20.0
LOOK_EVERY_S = 0.25

Trade = dict[str, Any]


class _Scene:
    """Two users and a trade between them: ``one`` gives a copy, ``other`` gives a copy or money."""

    def __init__(self, calls: Calls, one: str, other: str, trade: Trade) -> None:
        self._calls = calls
        self.one = one
        self.other = other
        self.trade = trade

    async def post(self, user: str, what: str, **body: Any) -> Trade:
        return await self._calls.post(user, f"/trades/{self.trade['id']}/{what}", body)

    async def counter(self) -> None:
        """``other`` would give money in addition."""
        mine, its = ({"copies": [], "money": 0} | leg for leg in self.trade["legs"])
        its["money"] += PRICE
        await self.post(self.other, "counter", version=1, legs=[mine, its], message="What about this?")

    async def agree(self) -> Trade:
        return await self.post(self.other, "accept", hash=self.trade["hash"])

    async def execute(self) -> bool:
        """Whether it is executed in time."""
        agreed = await self.agree()
        for user in (self.one, self.other):
            await self.post(user, "confirm", hash=agreed["hash"])
        ends = time.monotonic() + EXECUTED_WITHIN_S
        while True:
            state = await self._calls.get(self.one, f"/trades/{self.trade['id']}")
            if state["status"] == "executed" or time.monotonic() > ends:
                return bool(state["status"] == "executed")
            await asyncio.sleep(LOOK_EVERY_S)


async def _opened(scene: _Scene) -> None:
    await scene.post(scene.other, "messages", text="Let me think about it.")


async def _countered(scene: _Scene) -> None:
    await scene.counter()


async def _agreed(scene: _Scene) -> None:
    await scene.agree()
    await scene.post(scene.one, "messages", text="Great, I will confirm tonight.")


async def _executed(scene: _Scene) -> None:
    await scene.execute()
    await scene.post(scene.one, "messages", text="Thank you!")


async def _declined(scene: _Scene) -> None:
    await scene.post(scene.other, "messages", text="Not this one, sorry.")
    await scene.post(scene.other, "decline")


async def _withdrawn(scene: _Scene) -> None:
    await scene.post(scene.one, "decline")


async def _disputed(scene: _Scene) -> None:
    if await scene.execute():
        await scene.post(scene.other, "dispute", reason="It is not the grade that was promised.", evidence=[])
        await scene.post(scene.one, "respond", text="The grade is on the card.", evidence=[])


# What becomes of it, who offers, to whom, whether for money.
_SCENES: tuple[tuple[Callable[[_Scene], Awaitable[None]], str, str, bool], ...] = (
    (_opened, "demo_ada", "demo_bram", False),
    (_countered, "demo_chiyo", "demo_dario", True),
    (_agreed, "demo_esme", "demo_felix", False),
    (_executed, "demo_greta", "demo_hana", True),
    (_declined, "demo_bram", "demo_chiyo", True),
    (_withdrawn, "demo_dario", "demo_esme", True),
    (_disputed, "demo_felix", "demo_greta", True),
)


async def fill_trades(calls: Calls) -> list[str]:
    """Create those trades whose users have none with each other, and a free copy each. Returns what became of them."""
    ids = {name: str((await calls.get(name, "/users/me"))["id"]) for name in PEOPLE}
    free = {name: await _free_copies(calls, name) for name in PEOPLE}
    created = []
    for become, one, other, for_money in _SCENES:
        if await _have_traded(calls, one, other) or not free[one] or not (for_money or free[other]):
            continue
        got = [] if for_money else [free[other].pop()]
        legs = [
            {"giver": ids[one], "receiver": ids[other], "copies": [free[one].pop()], "money": 0},
            {"giver": ids[other], "receiver": ids[one], "copies": got, "money": PRICE if for_money else 0},
        ]
        trade = await calls.post(one, "/trades", {"legs": legs, "message": "Would you trade?"})
        await become(_Scene(calls, one, other, trade))
        state = await calls.get(one, f"/trades/{trade['id']}")
        created.append("countered" if state["status"] == "open" and state["version"] > 1 else str(state["status"]))
    return created


async def _free_copies(calls: Calls, user: str) -> list[str]:
    page = await calls.get(user, f"/users/me/copies?place=free&limit={PAGE}")
    return [item["id"] for item in page["items"]]


async def _have_traded(calls: Calls, one: str, other: str) -> bool:
    page = await calls.get(one, f"/trades?limit={PAGE}")
    return any(other in {party["username"] for party in trade["parties"]} for trade in page["items"])
