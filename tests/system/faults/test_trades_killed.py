"""kill -9 of each part of an engine at each step of trades: each trade is executed at most once, and all agrees.

The steps are those of docs/decisions/0047.
"""

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress

import pytest
from engines import Up

from bench.faults.trades.checker import TradeLog
from bench.faults.trades.clients import ACCEPTED, CONFIRMING, EXECUTED, EXECUTING
from bench.faults.trades.pairs import Trading
from bench.wire.accounts import Roster
from ece.engine.accounts import ProvisionedAccounts
from tests.faults.parts import process_of
from tests.faults.scene import until
from tests.system.test_custody import ANN, Scene, scene

pytestmark = pytest.mark.timeout(240)

PAIRS = 6
# What is killed when somebody has just reached this step; each part at each step of an execution.
KILLS = [
    (part, step)
    for part in ("worker", "host", "postgres", "gateway")
    for step in (ACCEPTED, CONFIRMING, EXECUTING, EXECUTED)
]  # fmt: skip
KILLS[5:5] = KILLS[11:11] = [("chain", EXECUTING)]


class Steps:
    """What the pairs reach, for those who wait for it."""

    def __init__(self) -> None:
        self.reached: Counter[str] = Counter()

    def __call__(self, step: str) -> None:
        self.reached[step] += 1

    async def next(self, step: str) -> None:
        """Wait until somebody reaches this step once more."""
        before = self.reached[step]
        await until(lambda: self.reached[step] > before, f"a pair is at {step!r}")


async def strike(up: Up, part: str, database_url: str) -> None:
    """kill -9, as soon as there is such a process."""
    found: list[int] = []

    async def there() -> bool:
        state = up.state()
        found.append(0 if state is None else await process_of(part, state.children, database_url))
        return bool(found[-1])

    await until(there, f"a {part} runs")
    with suppress(ProcessLookupError):
        os.kill(found[-1], signal.SIGKILL)


async def test_whatever_is_killed_at_each_step_of_a_trade_it_is_executed_once_and_all_agrees(up: Up):
    async with scene(up) as s:
        state = up.state()
        assert state is not None
        url, steps = state.database_url, Steps()
        copies, trading = await trading_pairs(s, steps)
        await trading.start()
        for part, step in KILLS:
            await steps.next(step)
            await strike(up, part, url)
        await steps.next(EXECUTED)
        logs = await trading.finish()
        assert await trading.violations(logs) == []
        # How many are executed between the kills is a matter of the machine; that trading went on is not.
        assert steps.reached[EXECUTED] >= PAIRS
        await the_commands_agree(s, copies, logs)


async def trading_pairs(s: Scene, steps: Steps) -> tuple[list[str], Trading]:
    copies = await s.minted(2 * PAIRS)
    state = s.up.state()
    assert state is not None
    roster = Roster(ProvisionedAccounts(state.database_url, s.up.key_secrets))
    names = [f"{side}_{number}" for number in range(PAIRS) for side in ("one", "other")]
    await roster.enlist(names)
    for name, copy in zip(names, copies, strict=True):
        await s.rest.post(ANN, f"/copies/{copy}/give", {"to": name})
    accounts = [roster.account(name) for name in names]
    return copies, Trading(s.up.url, state.database_url, accounts, copies, steps)


async def the_commands_agree(s: Scene, copies: list[str], logs: dict[int, TradeLog]) -> None:
    """`ece ledger check`, `ece verify`, and at finality `ece chain audit`."""
    assert (await asyncio.to_thread(s.command, "ledger", "check", "--json"))["findings"] == []
    verified = await asyncio.to_thread(s.command, "verify", "--all", "--json")
    assert (verified["entities"], verified["broken"]) == (len(logs), 0), verified
    for copy in copies:
        await s.until_held(copy, "the chain has it where it belongs", place="free")
    found = await asyncio.to_thread(s.audit)
    assert (found["cards"], found["agree"], found["findings"]) == (len(copies), len(copies), [])
