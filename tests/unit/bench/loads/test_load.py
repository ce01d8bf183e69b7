"""The load generator against a small server that keeps one rising price."""

from typing import Any

from bench.loads.load import AuctionView, Counts, Load, Measured, Seat, Watcher, run
from bench.measures.closed_loop import figures
from bench.wire.client import Incoming
from tests.unit.bench.wire.wire_server import Session, serving


class RisingPrice:
    """Accepts what is above the price, refuses the rest with the minimum, tells every watcher."""

    def __init__(self, price: int) -> None:
        self.price = price
        self.seq = 0
        self.keys: set[str] = set()
        self.watchers: list[Session] = []

    async def serve(self, session: Session) -> None:
        await session.greet()
        while True:
            frame = await session.next()
            if frame["op"] == "subscribe":
                self.watchers.append(session)
                await session.answer(frame, epoch=1, seq=self.seq, recovered=False, state={})
            else:
                await self._bid(session, frame)

    async def _bid(self, session: Session, frame: dict[str, Any]) -> None:
        self.keys.add(frame["key"])
        if frame["amount"] <= self.price:
            await session.refuse(frame, "bid_too_low", price=self.price, minimum=self.price + 1)
            return
        self.price, self.seq = frame["amount"], self.seq + 1
        data = {"price": self.price, "minimum": self.price + 1}
        channel = f"auction:{frame['auction']}"
        for watcher in self.watchers:
            await watcher.send({"channel": channel, "epoch": 1, "seq": self.seq, "type": "bid", "at": 1, "data": data})
        await session.answer(frame, auction=frame["auction"], seq=self.seq, outcome="leading", **data)


async def test_a_load_counts_what_was_accepted_and_times_acks_and_updates():
    auction = RisingPrice(0)
    async with serving(auction.serve) as (url, _):
        measured = await run(Load(url, [Seat("a1", ["t1", "t2", "t3"], 10, 5)], seconds=0.3, warmup_s=0.0))
    assert measured.accepted + sum(measured.refused.values()) == measured.acks
    # What was in flight when the window closed is answered, but not counted.
    assert 0 <= auction.seq - measured.accepted <= 3
    assert measured.accepted > 10
    assert measured.updates > measured.accepted
    assert measured.ack_ms["p50"] is not None
    assert measured.update_ms["p50"] is not None
    assert measured.lost_connections == 0
    assert measured.tops[0] >= auction.price


async def test_a_load_ends_when_enough_bids_were_accepted():
    auction = RisingPrice(0)
    async with serving(auction.serve) as (url, _):
        load = Load(url, [Seat("a1", ["t1", "t2"], 10, 5)], 30.0, 0.0, bids=50, in_flight=2, watch=False)
        measured = await run(load)
    assert measured.accepted >= 50
    assert measured.window_s < 10
    assert measured.updates == 0


async def test_a_bid_that_was_too_low_is_counted_and_the_next_is_above_the_minimum():
    auction = RisingPrice(1_000_000)
    async with serving(auction.serve) as (url, _):
        load = Load(url, [Seat("a1", ["t1"], 10, 5)], 30.0, 0.0, bids=3, watch=False)
        measured = await run(load)
    assert measured.refused == {"bid_too_low": 1}
    assert len(auction.keys) == auction.seq + 1


async def test_an_echo_needs_no_hello():
    async def echo(session: Session) -> None:
        while True:
            await session.send(await session.next())

    async with serving(echo) as (url, sessions):
        load = Load(url, [Seat("a1", [None, None], 1, 1)], 30.0, 0.0, bids=20, wire="echo")
        measured = await run(load)
    assert measured.acks >= 20
    assert {frame["op"] for session in sessions for frame in session.frames} == {"bid"}


def update(seq: int) -> Incoming:
    return Incoming(channel="auction:a1", seq=seq, data={"minimum": 7})


def test_an_update_is_timed_whether_it_comes_before_the_ack_or_after():
    counts = Counts()
    auction = AuctionView(Seat("a1", [], 1, 1))
    watcher = Watcher(counts, auction)
    watcher.receive(update(4))
    watcher.expect(3, sent_s=0.0)
    assert len(counts.update_s) == 1
    watcher.expect(6, sent_s=0.0)
    watcher.receive(update(5))
    assert len(counts.update_s) == 1
    watcher.receive(update(9))
    assert len(counts.update_s) == 2
    assert auction.top == 7


def test_the_first_update_with_the_bid_counts_not_a_later_one():
    counts = Counts()
    watcher = Watcher(counts, AuctionView(Seat("a1", [], 1, 1)))
    for seq in (3, 4, 5):
        watcher.receive(update(seq))
    first_s = watcher._received[0][1]
    watcher.expect(2, sent_s=0.0)
    assert counts.update_s == [first_s]


def test_a_watcher_of_a_bid_is_another_than_its_bidder_unless_it_is_alone():
    counts = Counts()
    auction = AuctionView(Seat("a1", [], 1, 1))
    auction.watchers = [Watcher(counts, auction) for _ in range(3)]
    for _ in range(10):
        assert auction.next_watcher(auction.watchers[0]) is not auction.watchers[0]
    auction.watchers = auction.watchers[:1]
    assert auction.next_watcher(auction.watchers[0]) is auction.watchers[0]


def test_figures_are_rates():
    measured = Measured(
        accepted=100, refused={"bid_too_low": 4}, acks=104, updates=500, window_s=2.0, ack_ms={"p50": 1.0, "p99": 2.0},
        update_ms={"p50": 3.0, "p99": 4.0}, lost_connections=0, client_cpu=0.5, tops=[1],
    )  # fmt: skip
    assert figures(measured) == {
        "accepted_per_s": 50.0, "refused_per_s": 2.0, "acks_per_s": 52.0, "ack_ms": {"p50": 1.0, "p99": 2.0},
        "update_ms": {"p50": 3.0, "p99": 4.0}, "updates_per_s": 250.0, "refused": {"bid_too_low": 4},
        "lost_connections": 0, "client_cpu": 0.5, "window_s": 2.0,
    }  # fmt: skip
