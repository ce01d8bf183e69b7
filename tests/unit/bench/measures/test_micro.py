"""What the micro-benches measure is the real thing."""

from auction_requests import decode_event

from bench.loads.load import STARTING_PRICE, STEP
from bench.measures.micro import encoded, report, run_auction
from domain.auction.events import LeadTaken
from domain.log.codec import first_hash, next_hash
from tests.unit.bench.terminal import cells, shown


def test_each_bid_of_the_measured_auction_takes_the_lead():
    events = run_auction(10).events
    assert [type(event) for event in events] == [LeadTaken] * 10
    last = events[-1]
    assert isinstance(last, LeadTaken)
    assert (last.maximum, last.price) == (STARTING_PRICE + 20 * STEP, STARTING_PRICE + 19 * STEP)


def test_the_measured_rows_are_a_chain_that_can_be_read():
    events = run_auction(3).events
    rows, _ = encoded(events)
    previous = first_hash("auction", rows[0].entity)
    for row in rows:
        previous = next_hash(previous, row.epoch, row.seq, row.at, row.body)
        assert row.hash == previous
    assert [decode_event(row.body) for row in rows] == events


def test_each_part_is_a_row_with_its_cost():
    text = shown(report({"decide": {"about": "decide a bid", "us": 1.99, "per_s": 502_512.6}}))
    assert cells(text, "decide a bid") == ["decide a bid", "1.99 µs", "502,513"]
