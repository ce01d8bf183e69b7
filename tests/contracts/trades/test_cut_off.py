"""Executions and reversals that are cut off anywhere are done once by whoever continues."""

import asyncio

import pytest

from domain.money import usd
from domain.trade.commands import Reverse
from domain.trade.events import Executed, Reversed
from domain.trade.state import Status
from domain.trade.terms import Leg
from persistence.ledger.faucet import FUNDS
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import Pool
from persistence.trades.executing import Executions
from persistence.trades.reversing import Reversals
from tests.contracts.sales.sale_scenes import CutConnection, a_life, fragile_pool, ledger_findings
from tests.contracts.trades.trade_scenes import PROTECTION, TradeScene

MODERATOR = 9


@pytest.mark.parametrize("after", [False, True])
async def test_an_execution_that_is_cut_off_at_any_statement_is_done_once(pool: Pool, database_url: str, after: bool):
    scene = TradeScene(pool)
    async with a_life(database_url) as host:
        # Step -1 opens accounts, step 0 counts the statements.
        steps, step = 0, -1
        while step <= steps:
            ann, bob = await scene.person(), await scene.person()
            [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
            trade = await scene.confirm(host, Leg(ann, bob, (hers,), usd(10)), Leg(bob, ann, (his,)), fee_bp=0)
            async with fragile_pool(database_url) as fragile:
                executions = Executions(fragile, PROTECTION)
                CutConnection.cut_at(step if step > 0 else None, after=after)
                if step > 0:
                    with pytest.raises(StoreError):
                        await scene.execute(host, executions)
                else:
                    await scene.execute(host, executions)
                    steps = CutConnection.statements
                    assert steps > 10, "there is something to cut"
            async with asyncio.timeout(20):
                while (await scene.trade(trade)).status is not Status.EXECUTED:
                    await scene.execute(host)
            assert await scene.owner_and_place(hers) == (bob, "free"), step
            assert [reason for reason, *_ in await scene.history_of(his)] == ["made", "trade"], step
            assert sum(isinstance(event, Executed) for event in await scene.trade_events(trade)) == 1, step
            assert await scene.standing(ann) == (FUNDS - usd(10), 0), step
            step += 1
    assert await ledger_findings(database_url) == []


async def test_a_reversal_that_is_cut_off_at_any_statement_is_done_once(pool: Pool, database_url: str):
    scene = TradeScene(pool)
    async with a_life(database_url) as host:
        steps, step = 1, 0
        while step <= steps:
            ann, bob = await scene.person(), await scene.person()
            [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
            trade = await scene.confirm(host, Leg(ann, bob, (hers,), usd(600)), Leg(bob, ann, (his,)))
            await scene.execute(host)
            await scene.order(host, trade, Reverse(MODERATOR, f"r{step}", "stolen"))
            async with fragile_pool(database_url) as fragile:
                CutConnection.cut_at(step or None, after=step % 2 == 0)
                if step:
                    with pytest.raises(StoreError):
                        await scene.reverse(host, Reversals(fragile))
                else:
                    await scene.reverse(host, Reversals(fragile))
                    steps = CutConnection.statements
            async with asyncio.timeout(20):
                while (await scene.trade(trade)).status is not Status.REVERSED:
                    await scene.reverse(host)
            assert await scene.owner_and_place(hers) == (ann, "free"), step
            assert await scene.owner_and_place(his) == (bob, "free"), step
            assert sum(isinstance(event, Reversed) for event in await scene.trade_events(trade)) == 1, step
            assert await scene.standing(ann) == await scene.standing(bob) == (FUNDS, 0), step
            step += 1
    assert await ledger_findings(database_url) == []
