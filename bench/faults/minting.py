"""Copies that are minted during a run, and who has each on the chain at its end."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from bench.faults.checker import Violation
from bench.faults.waiting import NotInTime, until
from bench.wire.accounts import Account
from bench.wire.rest_client import RestClient
from ece_client import EceError

MINTING = "minting"
MINTED_WITHIN_S = 180.0
POLL_S = 0.5
PAGE = 100
# Between two requests, and copies of each.
EVERY_S, COPIES = 5.0, 3


class Mint:
    """One card, whose copies are minted for an operator and given to others."""

    def __init__(self, rest: RestClient, operator: str, card_set: str) -> None:
        self._rest = rest
        self._operator = operator
        self._set = card_set
        self._card = ""
        self._requests: list[str] = []
        # How many were requested.
        self.copies = 0
        self.stopping = False

    async def open(self) -> None:
        """Create the card."""
        body = {"set": self._set, "number": "1", "name": "Fault card", "rarity": "rare"}
        await self._rest.post(self._operator, "/admin/catalog/cards", body)
        page = await self._rest.get(self._operator, f"/catalog/cards?set={self._set}&limit=1")
        self._card = str(page["items"][0]["id"])

    async def copies_for(self, owners: Sequence[Account]) -> list[str]:
        """A minted copy for each."""
        request = await self._request(len(owners))
        await until(lambda: self._finished(request), "the first copies are minted", MINTED_WITHIN_S, POLL_S)
        items = (await self._rest.get(self._operator, f"/mints/{request}/items?limit={PAGE}"))["items"]
        copies = [str(item["copy"]) for item in items]
        for copy, owner in zip(copies, owners, strict=True):
            await self._rest.post(self._operator, f"/copies/{copy}/give", {"to": owner.username})
        return copies

    async def run(self) -> None:
        """Request more copies again and again, until `stopping`."""
        while not self.stopping:
            await self._request(COPIES)
            await asyncio.sleep(EVERY_S)

    async def close(self) -> None:
        """Hang up."""
        await self._rest.close()

    async def finish(self) -> list[Violation]:
        """Wait until all are minted and where they belong, and compare with the chain."""
        found = [Violation(MINTING, one, fault) for one in self._requests if (fault := await self._fault(one))]
        holders: list[dict[str, Any]] = []
        restless: list[dict[str, Any]] = []

        async def at_rest() -> bool:
            holders[:] = await self._holders()
            restless[:] = [one for one in holders if one["moving"] is not False or one["agrees"] is None]
            return not restless

        try:
            await until(at_rest, "every copy is in the wallet where it belongs", MINTED_WITHIN_S, POLL_S)
        except NotInTime as late:
            raise NotInTime(f"{late}, but {len(restless)} of {len(holders)} are not, such as {restless[0]}") from None
        return found + mint_violations(self.copies, holders)

    async def _request(self, count: int) -> str:
        made = await self._rest.post(self._operator, "/mints", {"card": self._card, "count": count})
        self._requests.append(str(made["id"]))
        self.copies += count
        return self._requests[-1]

    async def _fault(self, request: str) -> str | None:
        found: dict[str, Any] = {}

        async def over() -> bool:
            found.update(await self._rest.get(self._operator, f"/mints/{request}"))
            return found["state"] in ("done", "failed")

        await until(over, f"mint {request} is finished", MINTED_WITHIN_S, POLL_S)
        return None if found["state"] == "done" else f"{found['poisoned']} copies can't be minted"

    async def _finished(self, request: str) -> bool:
        try:
            return bool((await self._rest.get(self._operator, f"/mints/{request}"))["state"] == "done")
        except EceError:
            return False

    async def _holders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            path = f"/catalog/cards/{self._card}/ownership?limit={PAGE}{cursor}"
            page = await self._rest.get(self._operator, path)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"


def mint_violations(requested: int, holders: Sequence[Mapping[str, Any]]) -> list[Violation]:
    """How the copies of a card differ from the chain. ``holders``: the items of `GET /catalog/cards/{id}/ownership`."""
    found = [Violation(MINTING, one["copy"], f"the chain says {one}") for one in holders if not one["agrees"]]
    assets = [one["asset"] for one in holders]
    if len(set(assets)) != len(assets):
        found.append(Violation(MINTING, "", "two copies have the same asset"))
    if len(assets) != requested:
        found.append(Violation(MINTING, "", f"{requested} copies were requested, {len(assets)} are minted"))
    return found
