"""Two users who have a card each, and what they do with them over REST."""

from dataclasses import dataclass
from typing import Any

from domain.catalog.rows import CardRow
from domain.ids import id_text, parse_id
from persistence.catalog.reading import Wanted
from persistence.sales.copies import NewCopies
from tests.rest.rest_engine import USD, Person, RestEngine

HOUR_MS = 3_600_000


async def copies_for(engine: RestEngine, owner: Person, count: int = 1, card: str = "Fire") -> list[str]:
    """New copies of a card of their own, that this user has."""
    catalog = engine.services.catalog
    await catalog.writing.put([CardRow("trading", str(len(card)), card, "rare", "Trading")], 0, 1_000)
    query = await catalog.reading.query(Wanted(set="trading"))
    ids = {one.name: one.id for one in await catalog.reading.page(query, "name", None, 100)}
    made = await engine.services.sales.copies.make(
        NewCopies(ids[card], count, parse_id(owner.id)), engine.services.now_ms()
    )
    assert isinstance(made, list), made
    return [id_text(copy) for copy in made]


def leg(giver: Person, receiver: Person, *copies: str, money: int = 0, **more: Any) -> dict[str, Any]:
    return {"giver": giver.id, "receiver": receiver.id, "copies": list(copies), "money": money} | more


@dataclass
class Pair:
    """Ann offers her copy and a dollar for Bob's copy."""

    engine: RestEngine
    ann: Person
    bob: Person
    hers: str
    his: str

    @property
    def legs(self) -> list[dict[str, Any]]:
        return [leg(self.ann, self.bob, self.hers, money=USD), leg(self.bob, self.ann, self.his)]

    async def offer(self, **changes: Any) -> dict[str, Any]:
        return await done(self.ann, "/trades", {"legs": self.legs} | changes)

    async def agreed(self) -> dict[str, Any]:
        trade = await self.offer()
        return await done(self.bob, f"/trades/{trade['id']}/accept", {"hash": trade["hash"]})


async def pair(engine: RestEngine) -> Pair:
    ann, bob = await engine.person(), await engine.person()
    [hers], [his] = await copies_for(engine, ann), await copies_for(engine, bob, card="Water")
    return Pair(engine, ann, bob, hers, his)


async def done(person: Person, path: str, body: Any = None, key: str | None = None) -> dict[str, Any]:
    """A POST that has to go well."""
    answer = await person.post(path, body, key)
    assert answer.status_code == 201, answer.text
    members: dict[str, Any] = answer.json()
    return members


async def read(person: Person, path: str) -> Any:
    answer = await person.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()
