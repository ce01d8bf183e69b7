"""Execution of trades on a real PostgreSQL: who pays whom, who gets what, once, or nothing at all."""

from collections.abc import AsyncIterator

import pytest

from domain.errors import COPY_MOVED_ON, INSUFFICIENT_FUNDS
from domain.ledger.books import HOUSE
from domain.ledger.ids import held_for
from domain.ledger.rules import Reserve
from domain.money import usd
from domain.trade.events import Executed, Failed
from domain.trade.state import Status
from domain.trade.terms import Leg
from persistence.ledger.faucet import FUNDS
from persistence.ledger.store import Ledger
from persistence.postgres.pool import Pool
from tests.contracts.sales.sale_scenes import ARTIST, STUDIO, a_life, ledger_findings
from tests.contracts.trades.trade_scenes import TradeScene


@pytest.fixture
async def scene(pool: Pool) -> AsyncIterator[TradeScene]:
    """A database in which nothing is due."""
    await pool.execute("DELETE FROM jobs")
    return TradeScene(pool)


async def test_copies_and_money_change_owners(scene: TradeScene, database_url: str):
    artist, studio, house = [(await scene.standing(one))[0] for one in (ARTIST, STUDIO, HOUSE)]
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person(funded=False)
        [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
        trade = await scene.confirm(host, Leg(ann, bob, (hers,), usd(100)), Leg(bob, ann, (his,)))
        assert await scene.standing(ann) == (FUNDS, usd(100))
        await scene.execute(host)
        state = await scene.trade(trade)
    # ann pays 100 for his card: 2.5 % are the house's, 10 % the artist's, 2.5 % the studio's.
    assert await scene.standing(ann) == (FUNDS - usd(100), 0)
    assert await scene.standing(bob) == (usd(85), 0)
    assert (await scene.standing(HOUSE))[0] - house == usd(2, 50)
    assert (await scene.standing(ARTIST))[0] - artist == usd(10)
    assert (await scene.standing(STUDIO))[0] - studio == usd(2, 50)
    assert (await scene.owner_and_place(hers), await scene.owner_and_place(his)) == ((bob, "free"), (ann, "free"))
    assert await scene.history_of(his) == [("made", None, bob, None), ("trade", bob, ann, usd(100))]
    assert await scene.history_of(hers) == [("made", None, ann, None), ("trade", ann, bob, None)]
    assert (state.status, state.fee, state.royalties) == (Status.EXECUTED, usd(2, 50), usd(12, 50))
    assert state.protected_until == 0
    assert state.dispute_until > 0
    assert await scene.jobs("invalidate_trade") == []
    assert await ledger_findings(database_url) == []


async def test_a_ring_of_three_with_money_is_executed_as_a_whole(scene: TradeScene, database_url: str):
    async with a_life(database_url) as host:
        ann, bob, cid = [await scene.person() for _ in range(3)]
        card = await scene.card(royalty=())
        copies = {who: (await scene.copies_for(who, 1, card))[0] for who in (ann, bob, cid)}
        trade = await scene.confirm(
            host,
            Leg(ann, bob, (copies[ann],), usd(40)), Leg(bob, cid, (copies[bob],)), Leg(cid, ann, (copies[cid],)),
            fee_bp=100,
        )  # fmt: skip
        await scene.execute(host)
        state = await scene.trade(trade)
    # bob gives ann nothing, so her money is for no copy.
    assert [await scene.owner_and_place(copies[who]) for who in (ann, bob, cid)] == [
        (bob, "free"), (cid, "free"), (ann, "free")
    ]  # fmt: skip
    assert [(await scene.standing(who))[0] - FUNDS for who in (ann, bob, cid)] == [-usd(40), usd(39, 60), 0]
    assert (state.status, state.fee, state.royalties) == (Status.EXECUTED, usd(0, 40), 0)
    assert await ledger_findings(database_url) == []


async def test_what_cannot_be_executed_fails_and_moves_nothing(scene: TradeScene, database_url: str):
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        copies = await scene.copies_for(ann, 3)
        wanted = await scene.copies_for(bob, 3)
        gone, short, fine = [
            await scene.confirm(host, Leg(ann, bob, (one,), usd(10)), Leg(bob, ann, (other,)))
            for one, other in zip(copies, wanted, strict=True)
        ]
        # Faults of ours: a lock and a hold are lost.
        await scene.pool.execute("UPDATE copies SET place = 'free', locked_by = NULL, locked_at = NULL"
            " WHERE copy_id = $1", copies[0])  # fmt: skip
        await Ledger(scene.pool).reserve([Reserve(held_for("trade", short), ann, 0, 0)], "USDC")
        await scene.move(ann, await scene.person(funded=False), FUNDS - usd(20))
        await scene.execute(host)
        events = [(await scene.trade_events(trade))[-1] for trade in (gone, short, fine)]
    assert events[0] == Failed(COPY_MOVED_ON, copies[0])
    assert {type(events[1]), type(events[2])} == {Failed, Executed} or events[1] == Failed(INSUFFICIENT_FUNDS, None)
    assert await ledger_findings(database_url) == []


async def test_a_trade_is_executed_once_however_often_it_is_ordered(scene: TradeScene, database_url: str):
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
        trade = await scene.confirm(host, Leg(ann, bob, (hers,), usd(10)), Leg(bob, ann, (his,)))
        first = await scene.executions.execute({trade: 4}, 1_000)
        again = await scene.executions.execute({trade: 4}, 2_000)
        await scene.execute(host)
        after = await scene.executions.execute({trade: 4}, 3_000)
    assert first == again
    assert after == {}
    assert await scene.standing(ann) == (FUNDS - usd(10), 0)
    assert len(await scene.history_of(hers)) == 2
