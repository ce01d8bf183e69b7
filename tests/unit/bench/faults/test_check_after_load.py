"""The check after a load: in parts of the log, in any order of the records."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from auction_examples import AUCTION
from test_fault_checker import ID, USD, History

from bench.faults.recording import Acked
from bench.locust.results import BidAck, BidRefused, Result
from bench.report import check
from bench.report.check import Sent
from bench.report.sorted_acks import SortedAcks
from domain.log.chain import LogRow


class Rows:
    """The rows of the one auction, as the log gives them."""

    def __init__(self, rows: list[LogRow]) -> None:
        self._rows = rows

    async def tail(self, entity: int, after_seq: int, limit: int) -> list[LogRow]:
        return [row for row in self._rows if entity == AUCTION and row.seq > after_seq][:limit]


def line(acked: Acked) -> BidAck:
    fields: dict[str, Any] = asdict(acked)
    return BidAck(**fields.pop("order"), **fields)


def history() -> History:
    """Eight bids that all lead."""
    made = History()
    for number in range(8):
        made.bid(("ann", "bob")[number % 2], f"k{number}", (5 + 2 * number) * USD)
    return made


async def kinds(made: History, acks: list[Acked], tmp_path: Path, *others: Result) -> dict[str, int]:
    """What is found when the acks were recorded in this order."""
    sent = Sent(SortedAcks(tmp_path, run_max=3))
    for ack in acks:
        sent.add(Result(1.0, "ack", "bid", 1.0, None, line(ack)))
    for other in others:
        sent.add(other)
    found = check._Found(frozenset())
    for auction, of_auction in sent.acks.by_auction():
        await check._check_auction(Rows(made.rows), auction, of_auction, sent, found)  # type: ignore[arg-type]
    return dict(found.by_kind)


@pytest.fixture(params=[3, 1_000], ids=["in parts", "at once"], autouse=True)
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "WINDOW", request.param)


async def test_a_true_history_has_no_violation_in_whatever_order_it_was_recorded(tmp_path):
    made = history()
    assert await kinds(made, made.recording.acks[::-1], tmp_path) == {}


async def test_one_ack_that_the_log_does_not_have_is_lost(tmp_path):
    made = history()
    invented = replace(
        made.recording.acks[-1], order=replace(made.recording.acks[-1].order, key="never"), seq=len(made.rows) + 1
    )
    assert await kinds(made, [*made.recording.acks, invented], tmp_path) == {"lost": 1}


async def test_an_ack_of_an_auction_without_a_log_is_lost(tmp_path):
    made, rows = history(), list[LogRow]()
    made.rows, acks = rows, made.recording.acks[:1]
    assert (await kinds(made, acks, tmp_path))["lost"] == 1


async def test_an_ack_with_another_price_than_the_log_is_false(tmp_path):
    made = history()
    acks = [replace(one, price=one.price + 1) if one.seq == 5 else one for one in made.recording.acks]
    assert await kinds(made, acks, tmp_path) == {"false ack": 1}


async def test_a_row_that_nobody_sent_is_found_and_one_of_unknown_outcome_is_justified(tmp_path):
    made = history()
    order = made.recording.acks[4].order
    acks = [one for one in made.recording.acks if one.order != order]
    assert await kinds(made, acks, tmp_path) == {"unasked": 1}
    unknown = BidRefused(ID, order.bidder, order.key, order.amount, order.sent_ns)
    assert await kinds(made, acks, tmp_path, Result(1.0, "ack", "bid", 1.0, "unavailable", None, unknown)) == {}


async def test_a_bid_that_was_refused_and_stands_in_the_log_is_found(tmp_path):
    made = history()
    order = made.recording.acks[4].order
    acks = [one for one in made.recording.acks if one.order != order]
    refused = BidRefused(ID, order.bidder, order.key, order.amount, order.sent_ns)
    result = Result(1.0, "ack", "bid", 1.0, "forbidden", None, refused)
    assert await kinds(made, acks, tmp_path, result) == {"refused and done": 1}


async def test_a_changed_row_is_found(tmp_path):
    made = history()
    made.rows[5] = replace_row(made.rows[5], at=made.rows[5].at + 1)
    assert (await kinds(made, made.recording.acks, tmp_path))["log"] >= 1


def replace_row(row: LogRow, **changed: int) -> LogRow:
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    return LogRow(**(fields | changed))
