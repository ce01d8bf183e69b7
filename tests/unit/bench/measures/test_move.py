"""The figures of the move bench, and its bidders against a server that refuses."""

import asyncio
from array import array
from typing import Any

from bench.loads.load import Seat
from bench.loads.move import BidLog, Connect, connect, finish
from bench.measures.move import report
from bench.measures.move_figures import Bid, Change, Run, bids_of, figures_of, in_windows, verdict_of
from tests.unit.bench import terminal
from tests.unit.bench.wire.wire_server import Session, serving

STEP = 10_000


def bid(sent_s: float, answered_s: float, seq: int | None = 1, code: str | None = None) -> Bid:
    return Bid("a", f"key-{sent_s}", sent_s, answered_s, seq, code)


def test_a_bid_log_is_read_bid_by_bid_and_one_without_an_answer_is_none():
    bid_log = BidLog("a", "p", array("d", [1.0, 2.0, 3.0]).tobytes(), array("d", [1.5, 2.5]).tobytes(),
                  array("q", [7, 0]).tobytes(), [(1, "unavailable")])  # fmt: skip
    assert list(bids_of(bid_log)) == [
        Bid("a", "p-0", 1.0, 1.5, 7, None),
        Bid("a", "p-1", 2.0, 2.5, None, "unavailable"),
    ]


def test_what_was_in_flight_from_a_tenth_before_to_a_tenth_after_a_change_is_counted_to_it():
    before, into, out_of, around, after = (
        bid(9.7, 9.89), bid(9.8, 9.95), bid(10.05, 10.4), bid(9.8, 10.3), bid(10.11, 10.2),
    )  # fmt: skip
    assert in_windows([before, into, out_of, around, after], [Change(10.0, "")]) == (
        [[into, out_of, around]],
        [before, after],
    )


def test_a_bid_that_two_moves_held_up_is_counted_to_both():
    held = bid(9.95, 10.35)
    later = bid(10.25, 10.35)
    assert in_windows([held, later], [Change(10.0, ""), Change(10.3, ""), Change(11.0, "")]) == (
        [[held], [held, later], []],
        [],
    )


def test_the_figures_of_a_run_stand_beside_those_apart_from_its_moves():
    run = Run(from_s=9.0, to_s=11.0, changes=[Change(10.0, "1 from x to y"), Change(10.1, "1 from y to x")])
    bids = [bid(8.0, 8.5), bid(9.0, 9.25), bid(10.0, 10.05), bid(10.15, 10.25), bid(12.0, 12.1)]
    assert figures_of(bids, run) == {
        "moves": 2,
        "bids": 3,
        "bids_per_s": 1.5,
        "during": {"bids": 2, "p50": 50.0, "p99": 100.0, "max": 100.0},
        "apart": {"bids": 1, "p50": 250.0, "p99": 250.0, "max": 250.0},
        "worst_move_p99_ms": 100.0,
        "each_move": [
            {"at_s": 1.0, "what": "1 from x to y", "bids": 1, "p50": 50.0, "p99": 50.0, "max": 50.0},
            {"at_s": 1.1, "what": "1 from y to x", "bids": 2, "p50": 50.0, "p99": 100.0, "max": 100.0},
        ],
    }


def verdict(bids: list[Bid], logged: dict[str, int], unanswered: int = 0, moves: int = 1) -> dict[str, Any]:
    run = Run(from_s=9.0, to_s=11.0, changes=[Change(10.0, "")][:moves])
    return verdict_of(bids, run, {"a": logged}, unanswered)


GOOD = [bid(9.95, 10.0, 1), bid(10.0, 10.05, 2)]
LOGGED = {"key-9.95": 1, "key-10.0": 2}


def test_the_bar_is_met_where_every_bid_was_taken_in_time_and_is_in_the_log():
    assert verdict(GOOD, LOGGED) == {
        "refused": {}, "refused_by_the_rules": 0, "unanswered": 0, "acknowledged": 2, "missing": 0, "met": True,
    }  # fmt: skip


def test_what_another_bid_overtook_is_no_fault_but_every_other_refusal_is():
    overtaken = bid(10.0, 10.01, None, "bid_too_low")
    result = verdict([*GOOD, overtaken], LOGGED)
    assert (result["refused_by_the_rules"], result["refused"], result["met"]) == (1, {}, True)
    result = verdict([*GOOD, overtaken, bid(5.0, 5.1, None, "unavailable")], LOGGED)
    assert (result["refused"], result["met"]) == ({"unavailable": 1}, False)


def test_a_bid_that_the_log_lacks_or_has_elsewhere_misses_the_bar():
    assert [verdict(GOOD, logged)["missing"] for logged in ({}, {**LOGGED, "key-10.0": 3})] == [2, 1]
    assert not verdict(GOOD, {**LOGGED, "key-10.0": 3})["met"]


def test_slow_bids_in_one_move_unanswered_ones_or_no_move_at_all_miss_the_bar():
    assert not verdict([*GOOD, bid(9.9, 10.01, 3)], {**LOGGED, "key-9.9": 3})["met"]
    assert not verdict(GOOD, LOGGED, unanswered=1)["met"]
    assert not verdict(GOOD, LOGGED, moves=0)["met"]


async def test_a_bidder_records_every_bid_with_its_answer():
    told_all = asyncio.Event()

    async def script(session: Session) -> None:
        await session.greet()
        await session.answer(await session.next(), epoch=1, seq=1, recovered=False, state={})
        await session.answer(await session.next(), seq=2)
        await session.refuse(await session.next(), "bid_too_low", minimum=50 * STEP)
        await session.answer(await session.next(), seq=3)
        last = await session.next()
        bidders[0].set_active(False)
        await session.refuse(last, "unavailable")
        told_all.set()
        await session.next()

    async with serving(script) as (url, sessions):
        [bidders] = await connect(Connect(url, [Seat("a", ["token"], STEP, STEP)]))
        bidders[0].set_active(True)
        await told_all.wait()
        [bid_log] = await finish([bidders])
    bids = list(bids_of(bid_log))
    assert [(b.seq, b.code) for b in bids] == [(2, None), (None, "bid_too_low"), (3, None), (None, "unavailable")]
    frames = [frame for frame in sessions[0].frames if frame["op"] == "bid"]
    assert [frame["key"] for frame in frames] == [b.key for b in bids]
    # Each passes the last, and what the refusal named.
    assert [frame["amount"] // STEP for frame in frames] == [3, 5, 52, 54]
    assert all(b.sent_s <= b.answered_s for b in bids)


def part(**more: Any) -> dict[str, Any]:
    return {
        "moves": 20, "bids_per_s": 12_345.6, "during": {"p50": 2.4, "p99": 15.6, "max": 27.7},
        "apart": {"p50": None, "p99": None, "max": None}, "worst_move_p99_ms": 26.94, "refused": {},
        "refused_by_the_rules": 0, "unanswered": 0, "missing": 0, "met": True, **more,
    }  # fmt: skip


def shown(**parts: dict[str, Any]) -> str:
    result = {"around_ms": 100, "bar_p99_ms": 100.0, "met": False, **parts}
    return terminal.shown(report(result))


def test_each_kind_of_move_is_a_row_that_says_whether_the_bar_was_met():
    text = shown(hot=part(), dedicated=part(refused={"unavailable": 2}, unanswered=1, missing=3, met=False))
    (hot,) = [line.split() for line in text.splitlines() if line.strip().startswith("hot  ")]
    (dedicated,) = [line.split() for line in text.splitlines() if line.strip().startswith("dedicated ")]
    assert hot == ["hot", "20", "12,346", "2/16/28", "—/—/—", "26.9", "0", "0", "yes"]
    assert dedicated == ["dedicated", "20", "12,346", "2/16/28", "—/—/—", "26.9", "3", "3", "NO"]
    assert "Bar: in each move a p99 under 100 ms" in text
    assert "for the hotter; 2 unavailable, 1 never answered" in terminal.unwrapped(text)
