"""Bids at fixed times: what is counted, from when it is timed, and what people are shown."""

from typing import Any

from bench.loads.load import Seat
from bench.loads.overload import Connect, Round, RoundResult, Tally, connect, play_round
from bench.measures.overload import BEHIND_P99_MS_MAX, figures, report
from tests.unit.bench import terminal
from tests.unit.bench.wire.wire_server import Session, serving

SEATS = [Seat("a1", ["t1", "t2"], 10, 5), Seat("a2", ["t3"], 10, 5)]


class Engine:
    """Accepts every other bid and is overloaded by the rest."""

    def __init__(self) -> None:
        self.amounts: dict[str, list[int]] = {}
        self.bids = 0

    async def serve(self, session: Session) -> None:
        await session.greet()
        while True:
            frame = await session.next()
            self.amounts.setdefault(frame["auction"], []).append(frame["amount"])
            self.bids += 1
            if self.bids % 2:
                await session.answer(frame, auction=frame["auction"], seq=self.bids, outcome="leading")
            else:
                await session.refuse(frame, "overloaded", retry_after_ms=1)


async def test_an_open_loop_sends_each_bid_at_its_time_whatever_became_of_the_others():
    engine = Engine()
    async with serving(engine.serve) as (url, sessions):
        sockets = await connect(Connect(url, SEATS))
        result = await play_round(sockets, Round(seconds=0.5, warmup_s=0.1, per_s=100.0))
    assert engine.bids == 60
    # Of the 60 those of the warm-up don't count; at its end and at the window's one may fall on either side.
    assert 49 <= result.offered <= 51
    # Answers of the window, among them late ones to bids of the warm-up.
    assert 40 <= result.accepted + result.refused["overloaded"] <= 60
    assert (result.unanswered, result.lost_connections, set(result.refused)) == (0, 0, {"overloaded"})
    # 60 bids by turns, eight in a row; and each has said hello.
    assert [len(session.frames) for session in sessions] == [25, 21, 17]
    assert {auction: len(amounts) for auction, amounts in engine.amounts.items()} == {"a1": 40, "a2": 20}
    assert all(amounts == sorted(set(amounts)) for amounts in engine.amounts.values())


async def test_a_closed_loop_keeps_so_many_bids_in_flight_until_the_round_is_over():
    held: list[tuple[Session, dict[str, Any]]] = []

    async def serve(session: Session) -> None:
        await session.greet()
        while True:
            held.append((session, await session.next()))

    async with serving(serve) as (url, _):
        sockets = await connect(Connect(url, SEATS))
        result = await play_round(sockets, Round(seconds=0.1, warmup_s=0.0, in_flight=2, drain_s=0.05))
    assert len(held) == 2 * 3
    assert (result.offered, result.accepted, result.unanswered) == (6, 0, 6)


def test_a_bid_is_timed_from_when_it_was_to_be_sent_and_only_within_the_window():
    tally = Tally()
    tally.from_s, tally.to_s = 0.0, float("inf")
    tally.sent(scheduled_s=1.0, sent_s=1.5)
    tally.sent(scheduled_s=-1.0, sent_s=0.1)
    assert (tally.offered, tally.behind_s, tally.in_flight) == (1, [0.5], 2)
    tally.answered("overloaded", 1.0)
    tally.answered(None, -1.0)
    assert (tally.accepted, tally.refused, tally.ack_s, tally.in_flight) == (1, {"overloaded": 1}, [], 0)
    [late_s] = tally.overloaded_s
    assert late_s > 0.0


def result_of(**changes: Any) -> RoundResult:
    known: dict[str, Any] = {
        "window_s": 2.0, "offered": 600, "accepted": 180, "refused": {"overloaded": 400, "bid_too_low": 6},
        "unanswered": 0, "ack_ms": {"p50": 5.0, "p99": 9.0}, "overloaded_ms": {"p50": 1.0, "p99": 2.0},
        "overloaded_last_ms": 4.5, "behind_ms": {"p50": 0.1, "p99": 0.9}, "client_cpu": 0.5, "lost_connections": 0,
    }  # fmt: skip
    return RoundResult(**(known | changes))


def test_figures_are_rates_and_a_share_of_the_peak():
    assert figures(result_of(), peak_per_s=100.0) == {
        "offered_per_s": 300.0, "accepted_per_s": 90.0, "share_of_peak": 0.9, "overloaded_per_s": 200.0,
        "unavailable_per_s": 0.0, "otherwise_refused": {"bid_too_low": 6}, "unanswered": 0,
        "ack_ms": {"p50": 5.0, "p99": 9.0}, "overloaded_ms": {"p50": 1.0, "p99": 2.0}, "overloaded_last_ms": 4.5,
        "behind_ms": {"p50": 0.1, "p99": 0.9}, "load_kept_up": True, "client_cpu": 0.5, "lost_connections": 0,
    }  # fmt: skip


def test_a_load_that_is_late_with_its_own_bids_is_told_apart_from_a_slow_engine():
    late = figures(result_of(behind_ms={"p50": 1.0, "p99": BEHIND_P99_MS_MAX + 1}), 100.0)
    assert not late["load_kept_up"]
    text = shown(late)
    assert "3 ×: the load sent its bids late" in text


def shown(*rounds: dict[str, Any]) -> str:
    result = {
        "peak_per_s": 1_000.0, "peaks_per_s": [1_000.0, 990.0], "sockets": 100,
        "goals": {"goodput_share": 0.85, "overloaded_last_ms": 150.0},
        "rounds": [{"times": 3, **figures} for figures in rounds],
    }  # fmt: skip
    return terminal.unwrapped(terminal.shown(report(result)))


def test_a_round_is_a_row_with_its_share_of_the_peak_and_the_slowest_rejection():
    text = shown(figures(result_of(), 100.0))
    assert "3 × 300 90 90% 5.0 / 9.0 1.0 / 2.0 4.5 0.9 " in text
    assert "before and after each row: 1,000, 990 bids/s" in text
    assert "a share above 85%, the slowest refusal within 150 ms" in text
    assert "3 ×: 6 refused: bid_too_low." in text
