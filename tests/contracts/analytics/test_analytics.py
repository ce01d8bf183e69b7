"""The read models of sales and holdings, on the real PostgreSQL: counted in any order, they are what the truth says."""

import random

import asyncpg
import pytest

from domain.sales.portfolio import DAY_MS, day_of
from domain.trade.commands import Reverse
from domain.trade.terms import Leg
from persistence.analytics.following import Analytics, Step
from persistence.analytics.portfolios import PortfolioReading
from persistence.analytics.values import SLACK_MS
from persistence.postgres.pool import Pool
from persistence.sales.second_chances import Reversal, SecondChances
from tests.contracts.analytics.market_rows import Ledger, give, make_cards, make_copy, read_models, refund, settle
from tests.contracts.sales.sale_scenes import OPERATOR, Scene, a_life
from tests.contracts.trades.trade_scenes import TradeScene

USD = 1_000_000
START = 20_000 * DAY_MS
HOUR = 3_600_000
STEPS_MAX = 500
EMPTIED = """sales, settlements, refunds, provenance, copies, cards, card_sets, card_days, market_days, card_prices,
    card_windows, seller_days, holdings, user_value_days, value_cards, value_owners, card_market,
    auction_bidders, buyer_days"""


@pytest.fixture
async def empty(pool: Pool) -> Pool:
    """The module's database, with nothing in it."""
    async with pool.acquire() as connection, connection.transaction():
        # The tables' own guards let nobody take rows away.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(f"TRUNCATE {EMPTIED} CASCADE")
        await connection.execute("UPDATE analytics_sources SET writer = '0', number = 0, part = 0")
        await connection.execute("UPDATE analytics_progress SET caught_up_at = NULL, value_day = 0")
    return pool


async def caught_up(pool: Pool, now: int) -> int:
    """Steps until there is nothing to do; how many rows they took in."""
    analytics, rows = Analytics(pool), 0
    for _ in range(STEPS_MAX):
        step = await analytics.step(now)
        assert not step.busy
        rows += step.rows
        if step.idle:
            return rows
    raise AssertionError("it never ends")


async def is_as_the_truth_says(pool: Pool, now: int) -> None:
    truth = (await Ledger.of(pool)).counted(day_of(now), day_of(now - SLACK_MS) - 1)
    found = await read_models(pool)
    for name, rows in truth.items():
        assert found[name] == rows, name


async def test_with_nothing_there_is_nothing_to_do(empty: Pool):
    assert await Analytics(empty).step(START) == Step(idle=True)
    assert not any((await read_models(empty)).values())


async def test_a_sale_is_in_every_figure_and_out_of_them_when_it_is_taken_back(empty: Pool):
    (card,) = await make_cards(empty, 1)
    copy = await make_copy(empty, card, 1, START)
    auction = await settle(empty, [copy], 2, 20 * USD, START + HOUR)
    now = START + DAY_MS + SLACK_MS
    assert await caught_up(empty, now) == 5
    found = await read_models(empty)
    assert found["card_prices"] == {(card, "USDC", 20 * USD, START + HOUR)}
    assert found["holdings"] == {(2, card, 1, 1, 20 * USD)}
    assert found["seller_days"] == {
        (1, "USDC", 20_000, 1, 1, 1, 1, 20 * USD, USD, 400_000, 20 * USD - USD - 400_000)
    }  # fmt: skip
    assert found["user_value_days"] == {(2, "USDC", 20_000, 1, 20 * USD)}
    await is_as_the_truth_says(empty, now)
    await refund(empty, auction, START + DAY_MS + HOUR)
    await caught_up(empty, now + DAY_MS)
    found = await read_models(empty)
    assert found["card_days"] == found["card_prices"] == found["market_days"] == found["card_windows"] == set()
    assert found["holdings"] == {(1, card, 1, 0, 0)}
    assert found["seller_days"] == {(1, "USDC", 20_000, 1, 0, 1, 0, 0, 0, 0, 0)}
    # What was known at the end of that day stays so.
    assert found["user_value_days"] == {
        (2, "USDC", 20_000, 1, 20 * USD), (2, "USDC", 20_001, 0, 0), (1, "USDC", 20_001, 1, 0)
    }  # fmt: skip
    await is_as_the_truth_says(empty, now + DAY_MS)


async def test_a_row_with_a_lower_number_that_is_committed_later_is_not_passed_over(empty: Pool, database_url: str):
    cards = await make_cards(empty, 2)
    copies = [await make_copy(empty, card, 1, START) for card in cards]
    slow = await asyncpg.connect(database_url)
    try:
        transaction = slow.transaction()
        await transaction.start()
        await settle(slow, [copies[0]], 2, 10 * USD, START + 1)
        await settle(empty, [copies[1]], 3, 30 * USD, START + 2)
        await caught_up(empty, START + HOUR)
        # The second sale is committed, but comes after the first in the order of writers.
        assert (await read_models(empty))["card_prices"] == set()
        assert (await PortfolioReading(empty).progress()).as_of == START + 1
        await transaction.commit()
    finally:
        await slow.close()
    await caught_up(empty, START + HOUR)
    assert len((await read_models(empty))["card_prices"]) == 2
    assert (await PortfolioReading(empty).progress()).as_of == START + HOUR
    await is_as_the_truth_says(empty, START + HOUR)


async def test_a_refund_that_is_taken_in_before_its_sale_counts(empty: Pool, database_url: str):
    (card,) = await make_cards(empty, 1)
    copy = await make_copy(empty, card, 1, START)
    slow, early = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        # The one who will refund begins before the sale, and another between them ends last.
        first, between = early.transaction(), slow.transaction()
        await first.start()
        await early.execute("SELECT pg_current_xact_id()")
        await between.start()
        await slow.execute("SELECT pg_current_xact_id()")
        auction = await settle(empty, [copy], 2, USD, START + 1)
        await refund(early, auction, START + 2)
        await first.commit()
        await caught_up(empty, START + HOUR)
        await between.commit()
    finally:
        await slow.close()
        await early.close()
    await caught_up(empty, START + HOUR)
    assert (await read_models(empty))["card_days"] == set()
    await is_as_the_truth_says(empty, START + HOUR)


async def test_of_two_who_follow_one_waits_for_nothing(empty: Pool, database_url: str):
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM analytics_progress FOR UPDATE")
            assert await Analytics(empty).step(START) == Step(busy=True)
    finally:
        await other.close()
    assert (await Analytics(empty).step(START)).idle


async def test_a_sale_of_a_day_that_was_valued_already_is_in_that_day_and_those_after_it(empty: Pool):
    cards = await make_cards(empty, 2)
    mine, others = await make_copy(empty, cards[0], 1, START), await make_copy(empty, cards[0], 2, START)
    unsold, given = await make_copy(empty, cards[1], 1, START), await make_copy(empty, cards[1], 6, START)
    await give(empty, given, 7, START + 3 * DAY_MS)
    await settle(empty, [others], 3, 10 * USD, START + HOUR)
    await settle(empty, [others], 2, 12 * USD, START + 4 * DAY_MS)
    now = START + 6 * DAY_MS
    await caught_up(empty, now)
    await is_as_the_truth_says(empty, now)
    await settle(empty, [others], 4, 12 * USD, START + 2 * DAY_MS)
    await give(empty, mine, 5, START + 3 * DAY_MS)
    # Who got theirs after it has it at that price, too.
    await settle(empty, [unsold], 4, 8 * USD, START + 2 * DAY_MS)
    await caught_up(empty, now)
    await is_as_the_truth_says(empty, now)


async def test_windows_move_on_when_nothing_is_sold(empty: Pool):
    (card,) = await make_cards(empty, 1)
    copy = await make_copy(empty, card, 1, START)
    await settle(empty, [copy], 2, 10 * USD, START)
    for days, left in ((0, {1, 7, 30}), (1, {7, 30}), (7, {30}), (29, {30}), (30, set())):
        now = START + days * DAY_MS
        await caught_up(empty, now)
        assert {row[2] for row in (await read_models(empty))["card_windows"]} == left
        await is_as_the_truth_says(empty, now)


async def test_sums_larger_than_64_bits_stop_nothing(empty: Pool):
    (card,) = await make_cards(empty, 1)
    copies = [await make_copy(empty, card, 1, START) for _ in range(3)]
    for copy in copies:
        await settle(empty, [copy], 2, 2**62, START + 1)
    await caught_up(empty, START + HOUR)
    assert (await read_models(empty))["market_days"] == {("USDC", 20_000, 3, 3 * 2**62, 1)}


async def test_what_the_engine_itself_settles_and_takes_back_is_in_the_figures(empty: Pool, database_url: str):
    scene = Scene(empty)
    seller, buyer = await scene.person(), await scene.person()
    bundle = [*await scene.copies_for(seller, 2), *await scene.copies_for(seller)]
    async with a_life(database_url) as host:
        sold = await scene.list_auction(host, seller, bundle)
        await scene.bid(host, sold, buyer, 40 * USD)
        unsold = await scene.list_auction(host, seller, await scene.copies_for(seller))
        for auction in (sold, unsold):
            await scene.close(host, auction)
        await scene.settle(host)
        now = host.clock.now_ms()
        await caught_up(empty, now)
        ((*_, offered, auctions, copies_offered, copies, _, _, _, _),) = (await read_models(empty))["seller_days"]
        assert (offered, auctions, copies_offered, copies) == (2, 1, 4, 3)
        await is_as_the_truth_says(empty, now)
        assert await SecondChances(empty).reverse(Reversal(sold, OPERATOR, "x", advance=True), now + 1) is None
    await caught_up(empty, now + DAY_MS)
    assert (await read_models(empty))["card_days"] == set()
    await is_as_the_truth_says(empty, now + DAY_MS)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_in_whatever_order_made_anew_it_is_what_it_was(
    empty: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch, seed: int
):
    """Sales of bundles and single copies, unsold auctions, gifts, refunds, second chances: three writers at once."""
    chance = random.Random(seed)
    monkeypatch.setattr("persistence.analytics.following.PAGE_ROWS", chance.choice([1, 3, 50]))
    monkeypatch.setattr("persistence.analytics.values.OWNERS_A_STEP", chance.choice([1, 2, 50]))
    cards = await make_cards(empty, 4)
    # Copies that one writer is at work on are left alone by the others.
    theirs = [[await make_copy(empty, card, 1 + n, START) for card in cards for _ in range(2)] for n in range(3)]
    writers = [await asyncpg.connect(database_url) for _ in range(3)]
    open_transactions = [None, None, None]
    sold: list[list[tuple[int, list[int]]]] = [[], [], []]
    now = START
    try:
        for _ in range(60):
            now += chance.randrange(8 * HOUR)
            n = chance.randrange(3)
            if open_transactions[n] is None:
                open_transactions[n] = writers[n].transaction()
                await open_transactions[n].start()
            await _something(chance, writers[n], theirs[n], sold[n], now)
            if chance.random() < 0.5:
                await open_transactions[n].commit()
                open_transactions[n] = None
            if chance.random() < 0.4:
                await Analytics(empty).step(now)
        for transaction in filter(None, open_transactions):
            await transaction.commit()
    finally:
        for writer in writers:
            await writer.close()
    await caught_up(empty, now)
    await is_as_the_truth_says(empty, now)
    followed = await read_models(empty)
    await Analytics(empty).reset()
    assert not any((await read_models(empty)).values())
    assert (await Analytics(empty).status(now)).caught_up_at is None
    await caught_up(empty, now)
    assert await read_models(empty) == followed
    status = await Analytics(empty).status(now)
    assert (status.caught_up_at, [source.waiting for source in status.sources]) == (now, [0, 0, 0, 0, 0])


async def _something(
    chance: random.Random, writer: asyncpg.Connection, copies: list[int], sold: list[tuple[int, list[int]]], now: int
) -> None:
    match chance.choice(["sale", "sale", "sale", "bundle", "unsold", "gift", "refund"]):
        case "sale" | "bundle" as how:
            owners = {row[0]: row[1] for row in await writer.fetch(
                "SELECT copy_id, owner_id FROM copies WHERE copy_id = ANY($1::bigint[])", copies)}  # fmt: skip
            copy = chance.choice(copies)
            bundle = [one for one in copies if owners[one] == owners[copy]][:3] if how == "bundle" else [copy]
            buyer = owners[copy] % 5 + 1
            # Sometimes it is written long after it happened, and prices repeat.
            at = now - chance.choice([0, 0, 0, 30 * HOUR])
            sold.append((await settle(writer, bundle, buyer, chance.randrange(1, 4) * USD, at), bundle))
        case "unsold":
            await settle(writer, [chance.choice(copies)], None, 0, now, outcome=chance.choice(["unsold", "cancelled"]))
        case "gift":
            await give(writer, chance.choice(copies), chance.randrange(1, 6), now)
        case "refund" if sold:
            auction, bundle = sold.pop()
            await refund(writer, auction, now)
            if chance.random() < 0.5:
                await settle(writer, bundle, 9, USD, now, auction=auction, round=2)


async def test_a_traded_copy_has_what_was_paid_for_it_as_its_cost_and_is_no_sale(empty: Pool, database_url: str):
    scene = TradeScene(empty)
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        first, second = await scene.card(), await scene.card()
        [hers], [his] = await scene.copies_for(ann, 1, first), await scene.copies_for(bob, 1, second)
        await empty.execute("UPDATE copies SET cost = $2 WHERE copy_id = $1", hers, 3 * USD)
        trade = await scene.confirm(host, Leg(ann, bob, (hers,), 600 * USD), Leg(bob, ann, (his,)))
        await scene.execute(host)
        now = host.clock.now_ms()
        await caught_up(empty, now)
        found = await read_models(empty)
        assert found["holdings"] == {(ann, second, 1, 1, 600 * USD), (bob, first, 1, 0, 0)}
        assert found["card_prices"] == found["seller_days"] == found["market_days"] == set()
        await scene.order(host, trade, Reverse(OPERATOR, "r", "stolen"))
        await scene.reverse(host)
        await caught_up(empty, now)
    assert (await read_models(empty))["holdings"] == {(ann, first, 1, 1, 3 * USD), (bob, second, 1, 0, 0)}
