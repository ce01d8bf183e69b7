"""REST as many users, by the Python client."""

from typing import Any

from bench.wire.accounts import Roster, RosterTokens
from ece_client import Options, Rest


class RestClient:
    """REST as users of a roster, over a few connections. Raises what `ece_client.Rest` does."""

    def __init__(self, base_url: str, roster: Roster) -> None:
        self._roster = roster
        self._rest = Rest(base_url, None, Options())

    async def close(self) -> None:
        await self._rest.close()

    async def open_auction(self, seller: str, terms: dict[str, Any]) -> dict[str, Any]:
        """List an auction; its state."""
        return await self.post(seller, "/auctions", terms)

    async def close_auction(self, operator: str, auction: str) -> dict[str, Any]:
        """End an auction now."""
        return await self.post(operator, f"/admin/auctions/{auction}/close", {})

    async def auction(self, user: str, auction: str) -> dict[str, Any]:
        """The state of an auction."""
        return await self.get(user, f"/auctions/{auction}")

    async def bids(self, user: str, auction: str) -> list[dict[str, Any]]:
        """All bids that counted in an auction, oldest first."""
        pages = self._as(user).pages(f"/auctions/{auction}/bids", dict[str, Any])
        return [bid async for bid in pages]

    async def get(self, user: str, path: str) -> dict[str, Any]:
        """What is there."""
        return await self._as(user).get(path, dict[str, Any])

    async def post(self, user: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Do this, once."""
        return await self._as(user).post(path, dict[str, Any], body)

    def _as(self, user: str) -> Rest:
        return self._rest.as_user(RosterTokens(self._roster, user))
