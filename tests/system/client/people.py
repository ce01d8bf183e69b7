"""Users of one run, who register and log in by the Python client itself."""

from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

from ece_client import Client, register

USD = 1_000_000
PASSWORD = "correct horse battery"
HOUR_MS = 3_600_000


class People:
    """Users of one run, who register by the client itself and have money."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._run = uuid4().hex[:8]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "People":
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._stack.aclose()

    async def join(self, name: str, money: int = 1_000 * USD) -> Client:
        username = f"{name}_{self._run}"
        await register(self._url, email=f"{username}@example.com", username=username, password=PASSWORD)
        client = await self._stack.enter_async_context(Client(self._url, login=username, password=PASSWORD))
        if money:
            await client.wallet.deposit(money)
        return client
