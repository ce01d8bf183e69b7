"""The example that trades: what it may spend is bounded, whatever it sees first."""

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[3] / "clients/python/examples/market_maker.py"
USD = 1_000_000


def example() -> Any:
    spec = importlib.util.spec_from_file_location("market_maker", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Engine:
    """Auctions of one wanted copy each; every bid leads, and its maximum is held."""

    def __init__(self) -> None:
        self.states: list[SimpleNamespace] = []
        self.user = SimpleNamespace(username="maker")
        self.held = 0
        self.auctions = self.catalog = self.wallet = self

    def opens(self, *names: str) -> None:
        """These end before all others."""
        new = [SimpleNamespace(id=n, title=n, seller="ann", leader=None, minimum=USD, copies=(n,)) for n in names]
        self.states = [*new, *self.states]

    async def list(self, **_: Any) -> AsyncIterator[SimpleNamespace]:
        for state in self.states:
            yield state

    async def copies(self, _: str) -> AsyncIterator[SimpleNamespace]:
        for state in self.states:
            yield SimpleNamespace(id=state.id)

    async def my_copies(self, _: str) -> AsyncIterator[SimpleNamespace]:
        for nothing in ():
            yield nothing

    async def get(self, auction: str) -> SimpleNamespace:
        return next(state for state in self.states if state.id == auction)

    async def balance(self) -> SimpleNamespace:
        return SimpleNamespace(pending=self.held, available=1_000 * USD)

    async def bid(self, auction: str, amount: int) -> SimpleNamespace:
        (await self.get(auction)).leader = "maker"
        self.held += amount
        return SimpleNamespace(outcome="leading")


async def test_its_budget_counts_also_the_bids_that_lead_in_auctions_that_end_later():
    module, engine = example(), Engine()
    maker = module.MarketMaker(engine, "card", module.Quote.around(10 * USD))
    for first in range(3):
        engine.opens(*(f"{first}-{number}" for number in range(module.BUDGET_BIDS)))
        await maker.round()
    assert engine.held <= module.BUDGET_BIDS * module.Quote.around(10 * USD).bid
    assert sum(state.leader == "maker" for state in engine.states) == module.BUDGET_BIDS
