"""The figures of the failover bench, and its bidders against a server that fails."""

import asyncio
from typing import Any

import pytest

from bench.loads.failover import Amounts, Attempt, LoadLog, SteadyBidder
from bench.measures.failover import figures_of, missing_bids, recovered_at, report, summary
from tests.unit.bench.terminal import cells, shown
from tests.unit.bench.wire.wire_server import Session, serving

KILLED_S = 100.0


def attempt(auction: str, sent_s: float, answered_s: float, outcome: str = "accepted") -> Attempt:
    return Attempt(auction, sent_s, answered_s, outcome)


# In `a` two bids fail, in `b` one; what was sent before the kill and accepted after it says nothing of afterwards.
OUTAGE = [
    attempt("a", 99.9, 100.01),
    attempt("a", 100.02, 100.03, "unavailable"),
    attempt("b", 100.04, 100.05, "lost"),
    attempt("b", 100.40, 100.50, "bid_too_low"),
    attempt("b", 100.45, 100.55),
    attempt("a", 100.50, 100.90, "silent"),
    attempt("a", 100.48, 100.60),
    attempt("a", 100.70, 100.80),
    attempt("a", 100.75, 100.78),
    attempt("b", 101.00, 101.10),
]


def test_an_auction_is_back_with_the_first_accepted_bid_that_was_sent_after_its_last_failed_one():
    assert recovered_at(OUTAGE, ["a", "b", "c"], KILLED_S) == {"a": 100.78, "b": 100.55, "c": None}


def test_what_failed_before_the_kill_is_not_the_kills_doing():
    attempts = [attempt("a", 98.0, 99.0, "unavailable"), attempt("a", 100.1, 100.2)]
    assert recovered_at(attempts, ["a"], KILLED_S) == {"a": 100.2}


def test_a_duplicate_is_no_new_bid():
    attempts = [attempt("a", 100.1, 100.2, "duplicate"), attempt("a", 100.3, 100.4)]
    assert recovered_at(attempts, ["a"], KILLED_S) == {"a": 100.4}


def test_the_figures_of_a_kill_count_from_it_and_say_how_clients_were_told():
    log = LoadLog(attempts=OUTAGE, acks={("a", 2): (0, 0, "leading")}, known_after_s=[0.1, 2.5])
    log.lost_connections, log.resumed_s = 1, [100.3]
    assert figures_of(log, ["a", "b"], KILLED_S, 100.5) == {
        "first_s": 0.55,
        "all_s": 0.78,
        "after_answer_s": 0.28,
        "no_bid_s": 0.54,
        "unavailable": 1,
        "failed": {"lost": 1, "silent": 1, "unavailable": 1},
        "longest_silence_s": 0.4,
        "longest_unknown_s": 2.5,
        "lost_connections": 1,
        "resumed_s": 0.3,
        "acknowledged": 1,
    }


def kill(all_s: float, after_answer_s: float | None = None) -> dict[str, Any]:
    return {"first_s": 0.1, "all_s": all_s, "after_answer_s": after_answer_s, "no_bid_s": 0.1, "unavailable": 3,
            "longest_silence_s": 0.01, "missing": 0}  # fmt: skip


def test_the_bar_is_for_the_worst_round():
    summed = summary("host", [kill(0.2), kill(0.4), kill(1.1)])
    assert (summed["all_s"], summed["bar_s"], summed["met"]) == ({"median": 0.4, "worst": 1.1}, 1.0, False)
    assert summary("host", [kill(0.2), kill(0.9)])["met"] is True


@pytest.mark.parametrize(("after_answer_s", "met"), [(0.9, True), (1.1, False)])
def test_after_postgresql_answers_there_is_a_bar_of_its_own(after_answer_s: float, met: bool):
    assert summary("postgres", [kill(3.0, after_answer_s)])["met"] is met


def test_where_nothing_was_promised_nothing_is_met():
    assert summary("valkey", [kill(0.2)])["met"] is None


def test_an_acknowledged_bid_that_the_log_lacks_or_has_otherwise_is_missing():
    acks = {("a", 2): (5, 10, "leading"), ("a", 3): (6, 11, "outbid"), ("b", 2): (7, 12, "leading")}
    logged = [{"seq": 2, "at": 5, "price": 10, "outcome": "leading"}, {"seq": 3, "at": 6, "price": 12,
               "outcome": "outbid"}]  # fmt: skip
    assert missing_bids(LoadLog(acks=acks), {"a": logged, "b": []}) == [("a", 3), ("b", 2)]


async def test_a_bidder_comes_back_resumes_where_it_was_and_sends_the_same_key_again():
    keys: list[list[str]] = [[], []]
    again = asyncio.Event()

    async def script(session: Session) -> None:
        await session.greet()
        await session.answer(await session.next(), epoch=1, seq=7, recovered=True, events=[])
        while True:
            bid = await session.next()
            keys[session.number].append(bid["key"])
            if session.number == 0:
                return  # hangs up with the bid unanswered
            seq = len(keys[1])
            await session.answer(bid, auction="a", seq=seq, at=5, outcome="leading", price=1, minimum=2, ends_at=3,
                                 duplicate=False)  # fmt: skip
            if bid["key"] == keys[0][0]:
                again.set()

    log = LoadLog()
    async with serving(script) as (url, sessions):
        bidder = SteadyBidder(url, "token", Amounts("a"), log)
        running = asyncio.create_task(bidder.run())
        async with asyncio.timeout(10):
            await again.wait()
            bidder.stop()
            await running
    assert [session.frames[1].get("since") for session in sessions] == [None, {"epoch": 1, "seq": 7}]
    assert [attempt.outcome for attempt in log.attempts] == ["lost", *["accepted"] * len(keys[1])]
    assert log.acks == {("a", seq): (5, 1, "leading") for seq in range(1, len(keys[1]) + 1)}
    assert (log.lost_connections, len(log.resumed_s)) == (1, 1)


def reported(rounds: int) -> str:
    kills = [
        {"first_s": 0.4, "all_s": 0.5 + number, "after_answer_s": 0.1, "no_bid_s": 0.6, "unavailable": 1_234,
         "longest_silence_s": 0.05, "missing": number}
        for number in range(rounds)
    ]  # fmt: skip
    parts = {part: summary(part, kills) for part in ("host", "postgres", "valkey", "gcs_server")}
    size = {"auctions": 8, "bidders": 16, "gateways": 1, "rounds": rounds, "acknowledged": 5_000, "missing": 3}
    return shown(report({**size, "parts": parts}))


def test_a_kill_is_a_row_with_its_bar_and_whether_it_is_met():
    text = reported(1)
    assert cells(text, "host") == ["host", "0.40", "0.50", "0.60", "1,234", "0.05", "0", "1", "yes"]
    assert cells(text, "valkey")[-2:] == ["—", "—"]
    assert "PostgreSQL: 0.10 s from its first answer until every auction accepts; bar 1 s." in text
    assert "Of 5,000 acknowledged bids 3 are missing in the log." in text


def test_of_several_rounds_median_and_worst_are_shown_on_eighty_columns():
    text = reported(3)
    row = next(line.split() for line in text.splitlines() if line.strip().startswith("host "))
    assert row == ["host", "0.40/0.40", "1.50/2.50", "0.60", "1,234", "0.05", "3", "1", "NO"]
    assert next(line.split() for line in text.splitlines() if line.strip().startswith("postgres "))[-2:] == ["5", "yes"]
