"""What a replay shows and reports."""

import io
from collections import Counter
from decimal import Decimal

from rich.console import Console

from bench.recordings.model import BrokenRow, Dataset, RecordedAuction, RecordedBid
from bench.recordings.proxy_model import Expected
from bench.recordings.replay import LiveAuction, Outcome, Progress
from ece.commands.replay_view import LiveView, plain_line, print_broken, print_report, report, sparkline

USD = 1_000_000
EXACT = RecordedAuction("1", "Watch", USD, 5 * USD, (RecordedBid("ann", 5 * USD, Decimal(0), 5 * USD),))
OTHER = RecordedAuction("2", "Game", USD, 9 * USD, (RecordedBid("bob", 9 * USD, Decimal(0)),) * 2)
OUTCOMES = [
    Outcome(EXACT, "e1", 5 * USD, Expected(5 * USD, (5 * USD,)), (5 * USD,)),
    Outcome(OTHER, "e2", USD, Expected(USD, (USD, None)), (USD, None)),
]
WHY = "recorded price equals the top bid, above what the rules give: looks like a hidden reserve"
DATASET = Dataset((EXACT, OTHER), (BrokenRow(7, "bid is [zero]"),))


def progress() -> Progress:
    return Progress(
        auctions=2, bids=3, phase="done", opened=2, sent=3, accepted=2, refused=Counter(bid_too_low=1),
        ack_s=[0.001, 0.002, 0.003], first_bid_s=10.0, last_ack_s=12.0, outcomes=list(OUTCOMES),
        live={"e2": LiveAuction(OTHER, USD, 1)}, sockets_opened=lambda: 2,
    )  # fmt: skip


def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_report_for_machines_has_every_figure():
    assert report("f.csv", DATASET, OUTCOMES, progress()) == {
        "file": "f.csv", "auctions": 2, "exact": 1, "differ": 1, "bids": 3, "accepted": 2, "refused": 1,
        "refused_by_code": {"bid_too_low": 1}, "seconds": 2.0, "bids_per_s": 1.5,
        "ack_ms": {"p50": 2.0, "p99": 3.0}, "sockets_opened": 2,
        "prices_after_bids": {"recorded": 1, "exact": 1},
        "by_item": [
            {"item": "Game", "auctions": 1, "bids": 2, "exact": 0},
            {"item": "Watch", "auctions": 1, "bids": 1, "exact": 1},
        ],
        "different": [
            {"auctionid": "2", "item": "Game", "auction": "e2", "recorded": 9 * USD, "price": USD, "why": WHY}
        ],
        "broken_rows": [{"line": 7, "reason": "bid is [zero]"}],
    }  # fmt: skip


def test_the_report_for_people_has_items_differences_and_rates():
    out = console()
    print_report(out, OUTCOMES, progress())
    shown = text_of(out)
    for part in ("Watch", "100.0%", "50.0%", f"1 differ: {WHY}", "2  Game: $1.00, recorded $9.00", "2 bids/s",
                 "p50 2.0 ms, p99 3.0 ms", "1 bid_too_low", "Prices after each bid: 1 of 1 as recorded"):  # fmt: skip
        assert part in shown


def test_skipped_rows_are_named_and_many_are_counted():
    out = console()
    print_broken(out, Dataset((), tuple(BrokenRow(line, "bid is [zero]") for line in range(2, 14))))
    shown = text_of(out)
    assert "line 2 skipped: bid is [zero]" in shown
    assert "line 12 skipped" not in shown
    assert "2 more rows skipped" in shown


def test_a_line_for_logs_says_how_far_it_is():
    assert plain_line(progress()) == ("replay: done: 2 of 2 auctions, 3 of 3 bids, 2 bids/s, p50 2.0 ms, p99 3.0 ms")
    assert plain_line(Progress()).endswith("0 bids/s, no acks yet")


def test_the_live_view_shows_the_auctions_that_are_being_bid_on():
    out = console()
    out.print(LiveView(progress()).render())
    shown = text_of(out)
    for part in ("3 / 3 bids", "1 exact", "1/2", "$9.00"):
        assert part in shown


def test_a_sparkline_has_a_block_a_value_the_tallest_for_the_largest():
    assert sparkline([0, 1, 2, 4]) == "▁▃▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""
