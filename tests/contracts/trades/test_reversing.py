"""Reversal of executed trades on a real PostgreSQL: all goes back, or nothing does."""

import pytest

from domain.errors import COPY_MOVED_ON, INSUFFICIENT_FUNDS
from domain.ids import first_id_at
from domain.ledger.books import HOUSE
from domain.money import usd
from domain.trade.commands import Reverse
from domain.trade.state import Status
from domain.trade.terms import Leg
from persistence.identity.store import RefreshTokens
from persistence.ledger.faucet import FUNDS
from persistence.postgres.pool import Pool
from tests.contracts.sales.sale_scenes import ARTIST, NOW, STUDIO, a_life, ledger_findings
from tests.contracts.trades.trade_scenes import TradeScene

MODERATOR = 9


async def test_all_that_was_exchanged_goes_back(pool: Pool, database_url: str):
    scene = TradeScene(pool)
    before = [await scene.standing(one) for one in (ARTIST, STUDIO, HOUSE)]
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
        await pool.execute("UPDATE copies SET cost = 7 WHERE copy_id = $1", his)
        trade = await scene.confirm(host, Leg(ann, bob, (hers,), usd(500)), Leg(bob, ann, (his,)))
        await scene.execute(host)
        assert (await scene.trade(trade)).protected_until > 0
        await scene.order(host, trade, Reverse(MODERATOR, "r", "stolen"))
        await scene.reverse(host)
        state = await scene.trade(trade)
    assert state.status is Status.REVERSED
    assert await scene.owner_and_place(hers) == (ann, "free")
    assert await scene.owner_and_place(his) == (bob, "free")
    assert await pool.fetchval("SELECT cost FROM copies WHERE copy_id = $1", his) == 7
    assert await scene.history_of(his) == [
        ("made", None, bob, None), ("trade", bob, ann, usd(500)), ("refund", ann, bob, None)
    ]  # fmt: skip
    assert await scene.standing(ann) == await scene.standing(bob) == (FUNDS, 0)
    assert [await scene.standing(one) for one in (ARTIST, STUDIO, HOUSE)] == before
    assert await ledger_findings(database_url) == []


@pytest.mark.parametrize("missing", ["copy", "money"])
async def test_what_cannot_go_back_stays_and_can_be_ordered_again(pool: Pool, database_url: str, missing: str):
    scene = TradeScene(pool)
    async with a_life(database_url) as host:
        ann, bob, cid = await scene.person(), await scene.person(funded=False), await scene.person(funded=False)
        [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
        trade = await scene.confirm(host, Leg(ann, bob, (hers,), usd(500)), Leg(bob, ann, (his,)))
        await scene.execute(host)
        if missing == "copy":
            assert await scene.copies.give(hers, bob, cid, NOW) is None
        else:
            await scene.move(bob, cid, usd(1))
        await scene.order(host, trade, Reverse(MODERATOR, "r", "stolen"))
        await scene.reverse(host)
        failed = await scene.trade(trade)
        owners = [await scene.owner_and_place(copy) for copy in (hers, his)]
        left = (await scene.standing(ann))[0]
        decided = await pool.fetchrow("SELECT code, copy_id FROM trade_settlements WHERE trade_id = $1"
            " AND kind = 'reversal'", trade)  # fmt: skip
        # It comes back, and a moderator orders it again.
        if missing == "copy":
            assert await scene.copies.give(hers, cid, bob, NOW) is None
        else:
            await scene.move(cid, bob, usd(1))
        await scene.order(host, trade, Reverse(MODERATOR, "again", "stolen"))
        await scene.reverse(host)
        assert (await scene.trade(trade)).status is Status.REVERSED
        assert await scene.owner_and_place(hers) == (ann, "free")
    code = COPY_MOVED_ON if missing == "copy" else INSUFFICIENT_FUNDS
    assert (failed.status, failed.reason) == (Status.EXECUTED, code)
    assert tuple(decided or ()) == (code, hers if missing == "copy" else None)
    assert owners == [(cid if missing == "copy" else bob, "free"), (ann, "free")]
    assert left == FUNDS - usd(500)
    assert (await scene.standing(ann))[0] == FUNDS
    assert await ledger_findings(database_url) == []


async def test_a_new_log_in_to_an_older_account_protects_a_trade_also_after_its_log_out(pool: Pool, database_url: str):
    scene = TradeScene(pool)
    async with a_life(database_url) as host:
        ann, bob, cid = [await scene.person() for _ in range(3)]
        await pool.execute(
            "UPDATE users SET created_at = now() - interval '30 days' WHERE user_id IN ($1, $2)", ann, bob
        )
        tokens = RefreshTokens(pool)
        for user in (ann, cid):
            await tokens.begin(user, f"f{user}", f"t{user}", host.clock.now_ms() + 60_000)
            await tokens.end(f"t{user}")
        await pool.execute(
            "INSERT INTO audit_entries (entry_id, action, actor_id, subject, details)"
            " VALUES ($1, 'login.succeeded', $2, '', '{}')",
            first_id_at(host.clock.now_ms() - 20 * 86_400_000), bob,
        )  # fmt: skip
        protected = {}
        for giver in (ann, bob):
            [one], [other] = await scene.copies_for(giver), await scene.copies_for(cid)
            trade = await scene.confirm(host, Leg(giver, cid, (one,)), Leg(cid, giver, (other,)))
            await scene.execute(host)
            protected[giver] = (await scene.trade(trade)).protected_until > 0
    assert protected == {ann: True, bob: False}


async def test_a_trade_of_copies_of_a_high_last_price_is_protected(pool: Pool, database_url: str):
    scene = TradeScene(pool)
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        card = await scene.card()
        await pool.execute("INSERT INTO card_prices VALUES ($1, 'USDC', $2, 0)", card, usd(250))
        dear, [his] = await scene.copies_for(ann, 2, card), await scene.copies_for(bob)
        trade = await scene.confirm(host, Leg(ann, bob, tuple(dear)), Leg(bob, ann, (his,)))
        await scene.execute(host)
        state = await scene.trade(trade)
    assert state.protected_until > 0
