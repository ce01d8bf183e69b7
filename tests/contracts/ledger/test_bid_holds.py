"""Bids on a real ledger: connections are cut and hosts die, and nobody has promised more than they had."""

import asyncio
import itertools
import random

from auction_examples import terms
from auction_requests import bid_request, close_request, decode_event, open_request, state_request

from actors.hosting.host import Host
from actors.stream.messages import Accepted, Answer, Refused, Request, StateAnswer
from domain.auction.state import Auction, apply
from domain.ledger.books import HOUSE
from domain.ledger.ids import held_for_auction, transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.rules import Done, Reserve
from domain.money import usd
from persistence.ledger.bid_holds import BidHolds
from persistence.ledger.store import Ledger
from persistence.postgres.pool import Pool
from persistence.sales.settlement import Settlements
from tests.contracts.sales.sale_scenes import a_life, ask, ledger_findings, settle_job
from tests.job_runs import run_due

_numbers = itertools.count(1)
AUCTIONS = [7_100_000_000_000_000 + number for number in range(50)]
BIDDERS = range(1_000, 1_050)
# Enough for three auctions at the prices that are bid.
FUNDS = usd(60)
OFFERS_USD = (5, 20)
OPERATOR = 1
LIVES = 4
BIDS_A_LIFE = 300
AT_ONCE = 25
ENDS_AT_MS = 4_000_000_000_000


async def surely(host: Host, request: Request) -> Answer:
    for _ in range(200):
        answer = await ask(host, request)
        if not isinstance(answer, Refused) or answer.code != "unavailable":
            return answer
        await asyncio.sleep(0.01)
    raise AssertionError("never told what became of it")


async def bid_along(host: Host, dice: random.Random, codes: list[str]) -> None:
    for _ in range(BIDS_A_LIFE // AT_ONCE):
        bidder, auction = dice.choice(BIDDERS), dice.choice(AUCTIONS)
        amount = usd(dice.randint(*OFFERS_USD), dice.randrange(100))
        answer = await surely(host, bid_request(auction, bidder, f"n{bidder}", amount, f"k{next(_numbers)}"))
        codes.append(answer.code if isinstance(answer, Refused) else "accepted")


async def fund(pool: Pool) -> None:
    ledger = Ledger(pool)
    faucet = (await ledger.accounts([HOUSE], "USDC", "faucet"))[HOUSE]
    accounts = await ledger.accounts(BIDDERS, "USDC")
    orders = [Transfer(transfer_id("funds", a), faucet, a, FUNDS, "deposit") for a in accounts.values()]
    assert all(isinstance(outcome, Done) for outcome in await ledger.execute(orders, 1_800_000_000_000))


async def cut_one(pool: Pool) -> None:
    """End a backend that places holds, or one that appends."""
    await pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'ece-%' ORDER BY random() LIMIT 1"
    )


async def replayed(pool: Pool, auction: int) -> Auction:
    state: Auction | None = None
    for row in await pool.fetch("SELECT body FROM entity_events WHERE entity_id = $1 ORDER BY seq", auction):
        state = apply(state, decode_event(row[0]))
    assert state is not None
    return state


async def expected_holds(pool: Pool) -> dict[tuple[int, int], int]:
    """By the log: what leaders of open auctions and winners may have to pay."""
    expected = {}
    for auction in AUCTIONS:
        state = await replayed(pool, auction)
        if state.leader is not None and (not state.ended or state.winner is not None):
            expected[auction, state.leader] = state.leader_maximum
    return expected


async def present_holds(pool: Pool) -> dict[tuple[int, int], int]:
    references = {held_for_auction(auction): auction for auction in AUCTIONS}
    held = await Ledger(pool).held_for(list(references), "USDC")
    return {(references[hold.reference], hold.owner): hold.amount for hold in held}


async def settled_down(host: Host, pool: Pool) -> None:
    """Until what is held is what the log says; fails where that does not come to be."""
    async with asyncio.timeout(30):
        while await present_holds(pool) != await expected_holds(pool):
            host.maintain()
            await asyncio.sleep(0.05)


async def settled(host: Host, pool: Pool) -> int:
    """Have every winner pay; how much that was."""
    await run_due(pool, settle_job(Settlements(pool), host))
    assert await pool.fetchval("SELECT count(*) FROM auctions WHERE settlement = 'failed'") == 0
    paid: int = await pool.fetchval("SELECT sum(price) FROM settlements WHERE outcome = 'sold'")
    return paid


async def test_fifty_bidders_with_funds_for_three_auctions_of_fifty_through_kills(pool: Pool, database_url: str):
    await fund(pool)
    dice, codes = random.Random(7), list[str]()
    for life in range(LIVES):
        async with a_life(database_url) as host:
            for auction in AUCTIONS:
                listed = await surely(host, open_request(auction, terms(auction=auction, ends_at=ENDS_AT_MS)))
                assert isinstance(listed, StateAnswer)
            bidding = [asyncio.create_task(bid_along(host, dice, codes)) for _ in range(AT_ONCE)]
            for _ in range(3):
                await asyncio.wait(bidding, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
                await cut_one(pool)
            if life < LIVES - 1:
                # Killed with bids under way.
                await asyncio.wait(bidding, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
                for task in bidding:
                    task.cancel()
            await asyncio.gather(*bidding, return_exceptions=life < LIVES - 1)
        assert await ledger_findings(database_url) == []
    assert {"accepted", "insufficient_funds"} <= set(codes)

    async with a_life(database_url) as host:
        for auction in AUCTIONS:
            assert isinstance(await surely(host, state_request(auction)), StateAnswer)
        await settled_down(host, pool)
        for auction in AUCTIONS[::2]:
            await surely(host, close_request(auction, OPERATOR))
        await settled_down(host, pool)
        held = await pool.fetchval("SELECT sum(held) FROM ledger_accounts")
        paid = await settled(host, pool)
        assert paid > 0
        assert await pool.fetchval("SELECT sum(held) FROM ledger_accounts") <= held - paid
    assert await ledger_findings(database_url) == []
    assert await pool.fetchval("SELECT max(held) FROM ledger_accounts WHERE kind = 'user'") <= FUNDS


async def test_a_bidder_without_an_account_hears_that_there_is_nothing(database_url: str):
    auction = AUCTIONS[-1] + 1
    async with a_life(database_url) as host:
        await surely(host, open_request(auction, terms(auction=auction, ends_at=ENDS_AT_MS)))
        answer = await surely(host, bid_request(auction, 999_999, "nobody", usd(5), "k"))
    assert isinstance(answer, Refused)
    assert not isinstance(answer, Accepted)
    assert (answer.code, answer.details) == ("insufficient_funds", {"available": 0, "required": usd(5)})


async def test_once_holds_are_prepared_the_first_bid_opens_no_connection(database_url: str, pool: Pool):
    mine = "SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name LIKE 'ece-holds-%'"
    holds = BidHolds(database_url)
    try:
        await holds.prepare()
        connections = await pool.fetchval(mine)
        assert len(connections) == 1
        assert set(await holds.reserve([Reserve(held_for_auction(AUCTIONS[0]), 999_998, 1)])) == {0}
        assert await pool.fetchval(mine) == connections
    finally:
        await holds.close()
