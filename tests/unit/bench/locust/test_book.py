"""What a load process knows of auctions."""

from typing import Any

from bench.locust.book import BIDS_MAX, LOTS_MAX, Book, Following, KnownLot
from bench.locust.frames import Update
from bench.locust.plan import Lot


def state(seq: int = 2, **fields: Any) -> dict[str, Any]:
    whole = {"status": "open", "price": 100, "minimum": 100, "ends_at": 9_000, "leader": None, **fields}
    return {"epoch": 1, "seq": seq, "recovered": False, "state": whole}


def update(seq: int, kind: str, data: dict[str, Any], epoch: int = 1) -> Update:
    return Update("auction:a", kind, epoch, seq, 0, data)


def bid(minimum: int, bidder: str = "ann", outcome: str = "leading") -> dict[str, Any]:
    return {"bidder": bidder, "price": minimum - 10, "minimum": minimum, "outcome": outcome}


def following() -> Following:
    one = Following(KnownLot("a", 1, 1))
    one.subscribed(state())
    return one


def test_events_in_order_change_what_is_known():
    one = following()
    assert one.take(update(3, "bid", bid(150)))
    assert one.take(update(4, "bid", bid(160, "bob", "outbid")))
    assert one.take(update(5, "extended", {"ends_at": 9_500, "reason": "soft_close"}))
    assert (one.seq, one.ends_at, one.open) == (5, 9_500, True)
    assert one.lot == KnownLot("a", 160, 9_500, seq=5, leader="ann")
    assert one.take(update(6, "closed", {"reason": "time", "price": 150}))
    assert (one.open, one.lot.open) == (False, False)


def test_what_is_known_already_is_ignored():
    one = following()
    assert one.take(update(2, "bid", bid(1)))
    assert one.take(update(1, "state", state()["state"]))
    assert (one.seq, one.lot.minimum) == (2, 100)


def test_a_missing_event_and_another_epoch_are_gaps_and_change_nothing():
    one = following()
    assert not one.take(update(4, "bid", bid(150)))
    assert not one.take(update(3, "bid", bid(150), epoch=2))
    assert (one.seq, one.lot.minimum) == (2, 100)


def test_a_state_may_skip_events():
    one = following()
    assert one.take(update(9, "state", state(minimum=300, leader="cyd", status="closed")["state"]))
    assert (one.seq, one.lot.minimum, one.lot.leader, one.lot.open) == (9, 300, "cyd", False)


def test_presence_has_no_position_and_no_gap():
    one = following()
    assert one.take(Update("trade:t", "presence", None, None, 0, {"present": []}))
    assert one.seq == 2


def test_a_resume_applies_the_missed_events():
    one = following()
    events = [{"epoch": 1, "seq": 3, "type": "bid", "data": bid(150)}]
    one.subscribed({"epoch": 1, "seq": 3, "recovered": True, "events": events})
    assert (one.seq, one.lot.minimum) == (3, 150)


def test_news_count_from_the_oldest_bid_of_this_process_that_a_frame_brings():
    book = Book([])
    book.bid_acked("a", 5, 1.5)
    book.bid_acked("a", 7, 1.7)
    assert book.oldest_due_s("a", 2, 9) == 1.5
    assert book.oldest_due_s("a", 5, 9) == 1.7
    assert book.oldest_due_s("a", 7, 9) is None
    assert book.oldest_due_s("b", 0, 9) is None


def test_memory_is_bounded():
    book = Book([])
    for seq in range(BIDS_MAX + 10):
        book.bid_acked("a", seq, float(seq))
    assert book.oldest_due_s("a", 0, 9) is None
    for number in range(LOTS_MAX + 10):
        book.learn(f"{number}", 1, 10)
    assert len(book.open_lots(0)) == LOTS_MAX


def test_only_auctions_that_take_bids_are_offered():
    book = Book([Lot("over", 1, 500), Lot("soon", 1, 1_500), Lot("late", 1, 99_000), Lot("closed", 1, 99_000)])
    book.learn("closed", 1, 99_000).learn_refusal("auction_closed", {})
    assert [lot.id for lot in book.open_lots(1_000)] == ["soon", "late"]
    assert [lot.id for lot in book.ending(1_000, 600)] == ["soon"]
