"""Executed trades of a card, and with whom one has traded."""

from actors.workers.trades import ExecuteTrades, ReverseTrades
from persistence.trades.executing import Executions
from persistence.trades.protection import Protection
from persistence.trades.reversing import Reversals
from tests.contracts.trades.trade_scenes import PROTECTION
from tests.job_runs import DirectHost, run_due
from tests.rest.rest_engine import RestEngine
from tests.rest.trades.trading import done, pair, read


async def test_executed_trades_are_shown_by_card_and_by_partner(engine: RestEngine):
    both = await pair(engine)
    await done(both.ann, "/ledger/deposits", {"amount": 5_000_000, "currency": "USDC"})
    assert (await read(both.ann, "/users/me/trade-partners"))["items"] == []
    agreed = await both.agreed()
    for user in (both.ann, both.bob):
        await done(user, f"/trades/{agreed['trade']}/confirm", {"hash": agreed["hash"]})
    host = engine.host
    await run_due(engine.pool, ExecuteTrades(Executions(engine.pool, PROTECTION), DirectHost(host), host.clock.now_ms))
    assert (await read(both.ann, f"/trades/{agreed['trade']}"))["status"] == "executed"
    [partner] = (await read(both.ann, "/users/me/trade-partners"))["items"]
    assert (partner["username"], partner["trades"], partner["copies_given"], partner["copies_got"]) == (
        both.bob.name, 1, 1, 1
    )  # fmt: skip
    assert (partner["paid"], partner["got"]) == (1_000_000, 0)
    card = (await read(both.bob, f"/copies/{both.his}"))["card"]
    [traded] = (await read(both.bob, f"/catalog/cards/{card}/trades"))["items"]
    assert (traded["copy"], traded["giver"], traded["receiver"], traded["value"]) == (
        both.his, both.bob.name, both.ann.name, 1_000_000
    )  # fmt: skip
    [newest] = [one for one in (await read(both.ann, f"/copies/{both.his}/provenance"))["items"] if one["seq"] == 2]
    assert (newest["trade"], newest["auction"]) == (agreed["trade"], None)


async def test_a_reversal_is_of_its_trade_in_the_provenance_and_of_no_auction(engine: RestEngine):
    both, moderator, host = await pair(engine), await engine.person(role="admin"), engine.host
    await done(both.ann, "/ledger/deposits", {"amount": 5_000_000, "currency": "USDC"})
    agreed = await both.agreed()
    for user in (both.ann, both.bob):
        await done(user, f"/trades/{agreed['trade']}/confirm", {"hash": agreed["hash"]})
    executions = Executions(engine.pool, Protection(0, 60_000, 60_000))
    await run_due(engine.pool, ExecuteTrades(executions, DirectHost(host), host.clock.now_ms))
    await done(moderator, f"/admin/trades/{agreed['trade']}/reverse", {"reason": "Stolen"})
    await run_due(engine.pool, ReverseTrades(Reversals(engine.pool), DirectHost(host), host.clock.now_ms))
    history = (await read(both.ann, f"/copies/{both.his}/provenance"))["items"]
    assert [(one["reason"], one["trade"], one["auction"]) for one in history] == [
        ("made", None, None), ("trade", agreed["trade"], None), ("refund", agreed["trade"], None)
    ]  # fmt: skip
