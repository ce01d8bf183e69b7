"""Accounts for a bench against an engine that runs elsewhere: registered and logged in by REST, as anybody would."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import uuid4

from bench.wire.accounts import Account
from ece_client import EceError, FixedToken, Options, PasswordTokens, Refused, Rest, register_user
from ece_client.areas import Wallet

AT_ONCE = 4
# How often one address may register is limited; this often it is waited for.
TRIES_MAX = 100
RETRY_S = 1.0
# In base units: what the faucet gives at once, by default.
FUNDS = 10**12

Answer = TypeVar("Answer")


class NoAccounts(Exception):
    """The engine didn't let the bench register."""


class AccountsByRest:
    """New users for each run: passwords aren't kept. Hashing them takes the engine about 0.3 s each."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._run = uuid4().hex[:8]
        self._password = secrets.token_urlsafe(24)
        self._known: dict[str, Account] = {}

    async def provision(self, names: list[str], role: str | None = None) -> dict[str, Account]:
        """Register and log in those not yet known. No role can be given this way."""
        if role is not None:
            raise NoAccounts(f"no user can be made {role} by REST")
        at_once = asyncio.Semaphore(AT_ONCE)
        rest = Rest(self._base_url, None, Options(http_timeout_s=60.0))
        try:
            new = [name for name in names if name not in self._known]
            joined = await asyncio.gather(*(self._join(rest, at_once, name) for name in new))
            self._known.update(zip(new, joined, strict=True))
        except EceError as error:
            raise NoAccounts(str(error)) from error
        finally:
            await rest.close()
        return {name: self._known[name] for name in names}

    async def _join(self, rest: Rest, at_once: asyncio.Semaphore, name: str) -> Account:
        username = f"{name}_{self._run}"
        email = f"{username}@bench.example.com"
        async with at_once:
            user = await _in_time(lambda: register_user(rest, email, username, self._password))
            token = await _in_time(PasswordTokens(rest, email, self._password).access_token)
            # Bids have to be covered. An engine without a faucet has real money, and is nothing to bench.
            await Wallet(rest.as_user(FixedToken(token.text))).deposit(FUNDS, key="funds")
        return Account(user.id, user.username, token.text)


async def _in_time(attempt: Callable[[], Awaitable[Answer]]) -> Answer:
    """Try it again where the engine says that it is too soon."""
    for _ in range(TRIES_MAX - 1):
        try:
            return await attempt()
        except Refused as refused:
            if refused.status not in (429, 503):
                raise
            await asyncio.sleep(refused.retry_after_s or RETRY_S)
    return await attempt()
