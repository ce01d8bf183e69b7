"""The summary rows of trades, and what follows from them in the database."""

from domain.ids import id_text
from domain.money import usd
from domain.trade.commands import Decline
from domain.trade.terms import Leg
from persistence.postgres.pool import Pool
from tests.contracts.sales.sale_scenes import a_life
from tests.contracts.trades.trade_scenes import TradeScene


async def test_a_confirmed_trade_is_to_be_executed(pool: Pool, database_url: str):
    scene = TradeScene(pool)
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
        trade = await scene.confirm(host, Leg(ann, bob, (hers,), usd(5)), Leg(bob, ann, (his,)))
    row = await pool.fetchrow(
        "SELECT proposer_id, parties, status, version, copies, money, fee_bp, seq FROM trades WHERE trade_id = $1",
        trade,
    )
    assert row is not None
    assert tuple(row) == (ann, f"{ann},{bob}", "confirmed", 1, f"{hers},{his}", usd(5), 250, 4)
    rows = await pool.fetch("SELECT user_id FROM trade_parties WHERE trade_id = $1 ORDER BY 1", trade)
    assert [row[0] for row in rows] == sorted([ann, bob])
    rows = await pool.fetch("SELECT copy_id FROM trade_items WHERE trade_id = $1 ORDER BY 1", trade)
    assert [row[0] for row in rows] == sorted([hers, his])
    assert await scene.jobs("execute_trade") == [f"{id_text(trade)}:4"]
    # Of the offer and of the agreement; nobody is notified of a confirmation.
    assert await scene.jobs("notify_trade") == [f"{id_text(trade)}:1", f"{id_text(trade)}:2"]


async def test_a_copy_that_is_given_away_ends_the_trades_it_is_part_of(pool: Pool, database_url: str):
    scene = TradeScene(pool)
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        [hers, other], [his] = await scene.copies_for(ann, 2), await scene.copies_for(bob)
        still = await scene.offer(host, Leg(ann, bob, (hers,)), Leg(bob, ann, (his,)))
        declined = await scene.offer(host, Leg(ann, bob, (hers,)), Leg(bob, ann, (his,)))
        await scene.offer(host, Leg(ann, bob, (other,)), Leg(bob, ann, (his,)))
        await scene.order(host, declined, Decline(bob, "no"))
        assert await scene.copies.give(hers, ann, bob, 1) is None
    assert await scene.jobs("invalidate_trade") == [f"{id_text(still)}:{id_text(hers)}"]
