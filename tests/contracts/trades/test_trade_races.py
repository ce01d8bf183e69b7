"""One card in many trades and an auction at once: it goes one way, and all else ends with nothing held."""

import asyncio
from collections import Counter

import pytest
from auction_examples import terms
from auction_requests import open_request

from actors.hosting.host import Host
from actors.stream.messages import Accepted, Refused, StateAnswer
from domain.errors import COPY_NOT_FREE
from domain.money import usd
from domain.trade.state import Status
from domain.trade.terms import Leg
from persistence.ledger.faucet import FUNDS
from persistence.postgres.pool import Pool
from persistence.sales.listings import Locked
from tests.contracts.sales.sale_scenes import ENDS_AT_MS, NOW, a_life, ask, ledger_findings
from tests.contracts.trades.trade_scenes import TradeScene

RIVALS = 10


async def list_copy(scene: TradeScene, host: Host, seller: int, copy: int) -> int | None:
    """An auction of the copy; None if it is not free."""
    auction: int = await scene.pool.fetchval("SELECT next_id()")
    if not isinstance(await scene.listings.lock(auction, seller, [copy], NOW), Locked):
        return None
    conditions = terms(auction=auction, seller=seller, copies=(copy,), ends_at=ENDS_AT_MS, starting_price=usd(1))
    assert isinstance(await ask(host, open_request(auction, conditions)), StateAnswer)
    return auction


@pytest.mark.parametrize("listed_first", [False, True])
async def test_a_card_in_ten_accepted_trades_and_an_auction_goes_one_way(
    pool: Pool, database_url: str, listed_first: bool
):
    scene = TradeScene(pool)
    async with a_life(database_url) as host:
        ann, bidder = await scene.person(), await scene.person()
        rivals = [await scene.person() for _ in range(RIVALS)]
        [hers] = await scene.copies_for(ann)
        theirs = {who: (await scene.copies_for(who))[0] for who in rivals}
        trades = [
            await scene.offer(host, Leg(ann, who, (hers,)), Leg(who, ann, (theirs[who],), usd(10))) for who in rivals
        ]
        auction = await list_copy(scene, host, ann, hers) if listed_first else None
        accepting = [scene.accept(host, trade, who) for trade, who in zip(trades, rivals, strict=True)]
        answers = [one for [one] in await asyncio.gather(*accepting)]
        auction = auction or await list_copy(scene, host, ann, hers)
        assert (auction is not None) == listed_first
        assert Counter(type(one) for one in answers)[Accepted] == (0 if listed_first else 1)
        assert {one.code for one in answers if isinstance(one, Refused)} == {COPY_NOT_FREE}
        if auction is not None:
            await scene.bid(host, auction, bidder, usd(1))
            await scene.close(host, auction)
            await scene.settle(host)
        else:
            [agreed] = [trade for trade in trades if (await scene.trade(trade)).status is Status.AGREED]
            await scene.confirm_all(host, agreed)
            await scene.execute(host)
        await scene.invalidate(host)
        states = [await scene.trade(trade) for trade in trades]
        await scene.nothing_held(*trades)
    reason = "sold" if listed_first else "traded"
    ended = Counter((state.status, state.reason) for state in states)
    assert ended[Status.INVALID, reason] == RIVALS - (not listed_first)
    assert ended[Status.EXECUTED, None] == (not listed_first)
    owner, place = await scene.owner_and_place(hers)
    assert place == "free"
    assert owner == bidder if listed_first else owner in rivals
    for who in rivals:
        assert await scene.standing(who) == (FUNDS - (usd(10) if who == owner else 0), 0)
    assert await ledger_findings(database_url) == []


async def test_a_copy_that_leaves_an_agreed_trade_on_the_chain_ends_it_and_frees_the_rest(
    pool: Pool, database_url: str
):
    scene = TradeScene(pool)
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        [hers], [his] = await scene.copies_for(ann), await scene.copies_for(bob)
        trade = await scene.agree(host, Leg(ann, bob, (hers,), usd(5)), Leg(bob, ann, (his,)))
        assert await scene.owner_and_place(his) == (bob, "trade")
        # As it is found on the chain (persistence/minting/ownership.py).
        await pool.execute(
            "UPDATE copies SET place = 'withdrawn', locked_by = NULL, locked_at = NULL, owner_id = 0,"
            " provenance_seq = 2 WHERE copy_id = $1", his,
        )  # fmt: skip
        await scene.invalidate(host)
        state = await scene.trade(trade)
        await scene.nothing_held(trade)
    assert (state.status, state.reason, state.copy) == (Status.INVALID, "moved_outside", his)
    assert await scene.owner_and_place(hers) == (ann, "free")
    assert await scene.standing(ann) == (FUNDS, 0)
