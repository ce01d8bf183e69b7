"""The few REST calls that a replay and the benches make, each safe to send again."""

import asyncio
import random
import time
from typing import Any
from uuid import uuid4

import httpx

from bench.wire.accounts import Roster
from bench.wire.client import BACKOFF_FIRST_S, BACKOFF_MAX_S, SURE_DEADLINE_S

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
RETRIED_CODES = frozenset({"still_running"})
# Few: httpx looks at every connection for every request that waits, and the engine is next door.
CONNECTIONS_MAX = 6
TIMEOUT_S = 15.0
PAGE_BIDS = 100


class RestRefused(Exception):
    """The engine answered with a problem."""

    def __init__(self, method: str, path: str, status: int, problem: dict[str, Any]) -> None:
        text = problem.get("detail") or problem.get("title") or problem
        super().__init__(f"{method} {path} answered {status}: {text}")
        self.status = status
        self.code = str(problem.get("code", ""))


class RestClient:
    """REST as users of a roster. A call whose outcome is unknown is sent again with the same key."""

    def __init__(self, base_url: str, roster: Roster) -> None:
        self._roster = roster
        self._turn = asyncio.Semaphore(CONNECTIONS_MAX)
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/api/v1",
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def open_auction(self, seller: str, terms: dict[str, Any]) -> dict[str, Any]:
        """List an auction; its state."""
        return await self._surely("POST", "/auctions", seller, terms)

    async def close_auction(self, operator: str, auction: str) -> dict[str, Any]:
        """End an auction now."""
        return await self._surely("POST", f"/admin/auctions/{auction}/close", operator, {})

    async def auction(self, user: str, auction: str) -> dict[str, Any]:
        """The state of an auction."""
        return await self._surely("GET", f"/auctions/{auction}", user, None)

    async def bids(self, user: str, auction: str) -> list[dict[str, Any]]:
        """All bids that counted in an auction, oldest first."""
        items: list[dict[str, Any]] = []
        path = f"/auctions/{auction}/bids?limit={PAGE_BIDS}"
        cursor = ""
        while True:
            page = await self._surely("GET", path + cursor, user, None)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"

    async def get(self, user: str, path: str) -> dict[str, Any]:
        """What is there."""
        return await self._surely("GET", path, user, None)

    async def post(self, user: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Do this, once."""
        return await self._surely("POST", path, user, body)

    async def _surely(self, method: str, path: str, user: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """One call until its outcome is known. Raises RestRefused, or httpx.TransportError at the deadline."""
        key = str(uuid4())
        ends_s = time.monotonic() + SURE_DEADLINE_S
        backoff_s = BACKOFF_FIRST_S
        token = self._roster.token(user)
        renewed = False
        while True:
            headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if method == "POST" else {})
            last_try = time.monotonic() + backoff_s > ends_s
            wait_s = backoff_s
            try:
                async with self._turn:
                    response = await self._http.request(method, path, json=body, headers=headers)
                if response.is_success:
                    answer: dict[str, Any] = response.json()
                    return answer
                if response.status_code == 401 and not renewed:
                    token, renewed = await self._roster.renewed_token(user), True
                    continue
                refused = RestRefused(method, path, response.status_code, _problem(response))
                if last_try or not (refused.status in RETRIED_STATUSES or refused.code in RETRIED_CODES):
                    raise refused
                wait_s = max(wait_s, _retry_after_s(response))
            except httpx.TransportError:
                if last_try:
                    raise
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"detail": response.text[:200]}


def _retry_after_s(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), BACKOFF_MAX_S * 5) if value.isascii() and value.isdigit() else 0.0
