"""Accounts for a bench against an engine that runs elsewhere: registered and logged in by REST, as anybody would."""

import asyncio
import secrets
from typing import Any
from uuid import uuid4

import httpx

from bench.wire.accounts import Account

AT_ONCE = 4
TIMEOUT_S = 60.0
# How often one address may register is limited; this often it is waited for.
TRIES_MAX = 100
# In base units: what the faucet gives at once, by default.
FUNDS = 10**12


class NoAccounts(Exception):
    """The engine didn't let the bench register."""


class AccountsByRest:
    """New users for each run: passwords aren't kept. Hashing them takes the engine about 0.3 s each."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/") + "/api/v1"
        self._run = uuid4().hex[:8]
        self._password = secrets.token_urlsafe(24)
        self._known: dict[str, Account] = {}

    async def provision(self, names: list[str], role: str | None = None) -> dict[str, Account]:
        """Register and log in those not yet known. No role can be given this way."""
        if role is not None:
            raise NoAccounts(f"no user can be made {role} by REST")
        at_once = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(base_url=self._base_url, timeout=TIMEOUT_S, trust_env=False) as http:
            new = [name for name in names if name not in self._known]
            self._known.update(
                zip(new, await asyncio.gather(*(self._join(http, at_once, n) for n in new)), strict=True)
            )
        return {name: self._known[name] for name in names}

    async def _join(self, http: httpx.AsyncClient, at_once: asyncio.Semaphore, name: str) -> Account:
        username = f"{name}_{self._run}"
        email = f"{username}@bench.example.com"
        async with at_once:
            registered = await self._post(
                http, "/auth/register", {"email": email, "username": username, "password": self._password}
            )
            entered = await self._post(http, "/auth/login", {"login": email, "password": self._password})
            await self._fund(http, str(entered["access_token"]))
        user = registered["user"]
        return Account(str(user["id"]), str(user["username"]), str(entered["access_token"]))

    async def _fund(self, http: httpx.AsyncClient, token: str) -> None:
        """Bids have to be covered. An engine without a faucet has real money, and is nothing to bench."""
        await self._post(
            http,
            "/ledger/deposits",
            {"amount": FUNDS, "currency": "USDC"},
            {"Authorization": f"Bearer {token}", "Idempotency-Key": "funds"},
        )

    async def _post(
        self, http: httpx.AsyncClient, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        for _ in range(TRIES_MAX):
            response = await http.post(path, json=body, headers=headers)
            if response.status_code not in (429, 503):
                break
            await asyncio.sleep(float(response.headers.get("Retry-After", "1")))
        if not response.is_success:
            raise NoAccounts(f"POST {path} answered {response.status_code}: {response.text[:200]}")
        answer: dict[str, Any] = response.json()
        return answer
