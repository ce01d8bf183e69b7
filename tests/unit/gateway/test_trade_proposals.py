"""The search for trades that fit does not stop what else a gateway does."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.rest.trade_lists import routes


async def test_sockets_do_not_wait_while_trades_are_searched_for(monkeypatch: pytest.MonkeyPatch):
    goes_on = threading.Event()

    def much_to_search(*_: object) -> list[Any]:
        assert goes_on.wait(2), "the event loop waits for it"
        return []

    async def matches_around(user: int) -> list[Any]:
        return []

    monkeypatch.setattr(routes, "proposals", much_to_search)
    services: Any = SimpleNamespace(trade_lists=SimpleNamespace(matches_around=matches_around))
    caller: Any = SimpleNamespace(user_id=1)
    asyncio.get_running_loop().call_later(0.01, goes_on.set)
    assert (await routes.trade_proposals(services, caller)).status_code == 200
