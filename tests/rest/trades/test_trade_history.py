"""Executed trades of a card, and with whom one has traded."""

from actors.workers.trades import ExecuteTrades
from persistence.trades.executing import Executions
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
