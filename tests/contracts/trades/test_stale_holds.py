"""What was held for a trade that has ended: copies are free with its end, money also where the host died just then."""

import pytest

from actors.stream.messages import Accepted
from actors.workers.trades import STALE_MAX, ReleaseStale
from domain.money import usd
from domain.trade.commands import Decline, Fail, Invalidate
from domain.trade.terms import Leg
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import Pool
from persistence.sales.copy_locks import CopyLocks
from persistence.trades.held import StaleHolds
from tests.contracts.sales.sale_scenes import a_life
from tests.contracts.trades.trade_scenes import TradeScene
from tests.job_runs import DirectHost


async def away(*_: object) -> None:
    raise StoreUnavailable("the host dies before this arrives")


async def test_money_that_a_dead_host_still_held_for_an_ended_trade_is_released(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    scene, held = TradeScene(pool), StaleHolds(pool)
    ann, bob = await scene.person(), await scene.person()
    [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
    with monkeypatch.context() as broken:
        async with a_life(database_url) as host:
            trade = await scene.agree(host, Leg(ann, bob, (hers,), usd(5)), Leg(bob, ann, (his,)))
            kept = await scene.agree(
                host,
                Leg(ann, bob, tuple(await scene.copies_for(ann))),
                Leg(bob, ann, tuple(await scene.copies_for(bob))),
            )
            assert await held.trades(STALE_MAX) == []
            broken.setattr(CopyLocks, "unlock", away)
            assert isinstance(await scene.order(host, trade, Decline(bob, "no")), Accepted)
    assert await scene.held(trade) == [(trade, usd(5))]
    assert await held.trades(STALE_MAX) == [trade]
    async with a_life(database_url) as host:
        await ReleaseStale(held, DirectHost(host)).run([])
        await scene.nothing_held(trade)
        assert len(await scene.held(kept)) == 2
    assert await held.trades(STALE_MAX) == []


@pytest.mark.parametrize("end", ["declined", "withdrawn", "invalid", "failed"])
async def test_copies_are_free_when_the_parties_hear_of_the_end(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch, end: str
):
    """Whatever becomes of the host and its connections then."""
    scene = TradeScene(pool)
    ann, bob = await scene.person(), await scene.person()
    [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
    legs = Leg(ann, bob, (hers,)), Leg(bob, ann, (his,))
    ends = {
        "declined": Decline(bob, "no"), "withdrawn": Decline(ann, "no"), "invalid": Invalidate(his, "withdrawn"),
        "failed": Fail("insufficient_funds", None),
    }  # fmt: skip
    async with a_life(database_url) as host:
        trade = await scene.agree(host, *legs)
        if end == "failed":
            await scene.confirm_all(host, trade)
        assert await scene.owner_and_place(hers) == (ann, "trade")
        with monkeypatch.context() as broken:
            broken.setattr(CopyLocks, "unlock", away)
            await scene.order(host, trade, ends[end])
            assert (await scene.trade(trade)).status == end
            assert await scene.held(trade) == []
        again = await scene.agree(host, *legs)
        assert sorted(await scene.held(again)) == sorted([(again, hers), (again, his)])


async def test_a_host_that_is_late_can_not_lock_copies_for_a_trade_that_has_ended(pool: Pool, database_url: str):
    scene, late = TradeScene(pool), CopyLocks(database_url)
    ann, bob = await scene.person(), await scene.person()
    [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
    legs = Leg(ann, bob, (hers,)), Leg(bob, ann, (his,))
    try:
        async with a_life(database_url) as host:
            ended, other = await scene.agree(host, *legs), await scene.offer(host, *legs)
            await scene.order(host, ended, Decline(bob, "no"))
            now_ms = host.clock.now_ms()
            # Of the two that want it in one call, the one that has ended does not count.
            assert await late.lock([(ended, ann, hers), (ended, bob, his), (other, ann, hers)], now_ms) == {0, 1}
            assert await scene.held(ended, other) == [(other, hers)]
    finally:
        await late.close()
