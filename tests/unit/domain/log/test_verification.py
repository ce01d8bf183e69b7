from collections.abc import Callable

import pytest
from auction_requests import decode_event
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.auction.commands import BuyNow, Cancel, CloseEarly, Command, PlaceBid, Settle
from domain.auction.events import BidEvent, Closed, Event, Extended, LeadDefended, LeadTaken, Opened
from domain.auction.formats.english import ENGLISH
from domain.auction.state import Auction, apply
from domain.auction.terms import SoftClose, Terms
from domain.entity import Refusal, Tick
from domain.kinds import kind_of
from domain.log import codec
from domain.log.chain import LogRow
from domain.log.codec import encode
from domain.log.verification import FINDINGS_MAX, LogVerifier, SnapshotClaim, SummaryClaim, Verdict
from domain.money import usd
from persistence.auctions.summary import AUCTIONS

AUCTION = 1 << 50
START = 1_800_000_000_000
MINUTE = 60_000
TERMS = Terms(
    auction=AUCTION,
    seller=1,
    seller_name="sam",
    title="Charizard",
    starting_price=usd(1),
    starts_at=START,
    ends_at=START + 60 * MINUTE,
    reserve_price=usd(40),
    buy_now_price=usd(500),
    soft_close=SoftClose(5 * MINUTE, 5 * MINUTE, 2),
)


class Log:
    """A log as a host writes it."""

    def __init__(self, terms: Terms = TERMS, now: int = START) -> None:
        self.rows: list[LogRow] = []
        self.auction: Auction | None = None
        self.snapshots: dict[int, SnapshotClaim] = {}
        self.write(ENGLISH.open(terms, now), now)

    def write(self, events: list[Event], at: int, epoch: int = 1) -> None:
        for event in events:
            key = codec.command_key(event.bidder, event.key) if isinstance(event, BidEvent) else None
            self.rows.append(self.row_after(self.rows, event, at, key, epoch))
            self.auction = apply(self.auction, event)

    @staticmethod
    def row_after(rows: list[LogRow], event: Event, at: int, key: bytes | None = None, epoch: int = 1) -> LogRow:
        previous = rows[-1].hash if rows else codec.first_hash("auction", AUCTION)
        body, seq = encode(event), len(rows) + 1
        return LogRow(seq, epoch, at, key, body, codec.next_hash(previous, epoch, seq, at, body))

    def do(self, command: Command, at: int) -> "Log":
        assert self.auction is not None
        events = ENGLISH.decide(self.auction, command, at)
        if not isinstance(events, Refusal):
            self.write(events, at)
        self.snapshots[len(self.rows)] = self.snapshot()
        return self

    def snapshot(self) -> SnapshotClaim:
        assert self.auction is not None
        return SnapshotClaim(len(self.rows), self.rows[-1].hash, encode(self.auction))

    def summary(self) -> SummaryClaim:
        a = self.auction
        assert a is not None
        values = kind_of("auction").rules.summary(a, self.rows[-1].at, "shared")
        return SummaryClaim(len(self.rows), AUCTIONS.names, values)


def bid(bidder: int, amount: int, key: str = "k") -> PlaceBid:
    return PlaceBid(bidder, f"bidder{bidder}", amount, key)


def a_full_log() -> Log:
    """1 listed, 2 opened, 3-4 taken and reserve met, 5 defended, 6 raised, 7-8 taken and extended, 9 closed."""
    log = Log()
    log.do(bid(2, usd(45)), START + 1_000)
    log.do(bid(3, usd(42)), START + 2_000)
    log.do(bid(2, usd(50), "k2"), START + 3_000)
    log.do(bid(3, usd(60), "k2"), START + 58 * MINUTE)
    log.do(Tick(), START + 63 * MINUTE)
    assert len(log.rows) == 9
    return log


def verdict_on(rows: list[LogRow], *claims: SnapshotClaim | SummaryClaim) -> Verdict:
    verifier = LogVerifier(kind_of("auction"), AUCTION, claims)
    for row in rows:
        verifier.feed(row)
    return verifier.finish()


def named(verdict: Verdict) -> list[tuple[int, str]]:
    return [(finding.seq, finding.kind) for finding in verdict.findings]


def test_a_sound_log_gives_the_state_and_no_findings():
    log = a_full_log()
    verdict = verdict_on(log.rows, log.snapshot(), log.summary(), log.snapshots[4], log.snapshots[8])
    assert verdict == Verdict(9, 9, 9, 0, (), log.auction)
    assert verdict.state is not None
    assert (verdict.state.winner, verdict.state.price) == (3, usd(51))


def test_every_kind_of_ending_is_verified():
    bought = Log().do(BuyNow(5, "eve", "b"), START + 1)
    cancelled = Log().do(Cancel(1), START + 1)
    ended = Log().do(bid(2, usd(2)), START + 1).do(CloseEarly(9), START + 2)
    paid = Log().do(bid(2, usd(2)), START + 1).do(CloseEarly(9), START + 2).do(Settle(2, usd(1), 5, 0), START + 3)
    later = Log(replace(TERMS, starts_at=START + MINUTE)).do(Tick(), START + MINUTE + 7)
    both = Log(replace(TERMS, starts_at=START + MINUTE)).do(Tick(), START + 99 * MINUTE)
    silent = Log().do(Tick((START, START + 70 * MINUTE)), START + 70 * MINUTE)
    slept = Log(replace(TERMS, starts_at=START + MINUTE)).do(Tick((START, START + 70 * MINUTE)), START + 70 * MINUTE)
    assert [type(decode_event(row.body)) for row in slept.rows[1:]] == [Opened, Extended]
    assert [type(decode_event(row.body)) for row in both.rows[1:]] == [Opened, Closed]
    for log in (bought, cancelled, ended, paid, later, both, silent, slept):
        assert verdict_on(log.rows, log.snapshot(), log.summary()).findings == ()


commands = st.one_of(
    st.builds(bid, st.integers(1, 4), st.integers(usd(1), usd(80)), st.text(min_size=1, max_size=4)),
    st.builds(BuyNow, st.integers(1, 4), st.just("x"), st.text(min_size=1, max_size=4)),
    st.just(Cancel(1)),
    st.just(CloseEarly(9)),
    st.builds(Settle, st.integers(1, 4), st.integers(usd(1), usd(3)), st.just(1), st.just(0)),
    st.just(Tick()),
    st.integers(0, 80).map(lambda n: Tick((START, START + n * MINUTE))),
)
steps = st.lists(st.tuples(commands, st.integers(0, 20 * MINUTE)), max_size=25)


@settings(max_examples=200, deadline=None)
@given(steps, st.integers(0, 10 * MINUTE))
def test_whatever_the_rules_decide_is_verified(orders: list[tuple[Command, int]], opens_after: int):
    log, now = Log(replace(TERMS, starts_at=START + opens_after)), START
    for command, passed in orders:
        now += passed
        log.do(command, now)
    claims = [*log.snapshots.values(), log.summary()]
    assert verdict_on(log.rows, *claims) == Verdict(len(log.rows), len(log.rows), len(log.rows), 0, (), log.auction)


@pytest.mark.parametrize("seq", range(1, 10))
@pytest.mark.parametrize(
    "change",
    [
        lambda row: replace(row, at=row.at + 1),
        lambda row: replace(row, epoch=7),
        lambda row: replace(row, hash=bytes(32)),
        lambda row: replace(row, body=encode(Opened()) + b""),
    ],
    ids=["time", "epoch", "hash", "body"],
)
def test_a_changed_row_is_named(seq: int, change: Callable[[LogRow], LogRow]):
    rows = a_full_log().rows
    changed = change(rows[seq - 1])
    if changed == rows[seq - 1]:
        return
    rows[seq - 1] = changed
    verdict = verdict_on(rows)
    assert (seq, "changed") in named(verdict)
    assert {at for at, _ in named(verdict)} == {seq}


@pytest.mark.parametrize("seq", range(1, 10))
def test_a_missing_row_is_named(seq: int):
    log = a_full_log()
    rows = [row for row in log.rows if row.seq != seq]
    assert named(verdict_on(rows, log.summary())) == [(seq, "missing")]


def test_several_missing_rows_are_named_together():
    log = a_full_log()
    verdict = verdict_on([row for row in log.rows if row.seq not in (4, 5, 6)])
    assert [finding.detail for finding in verdict.findings] == ["rows 4 to 6 are missing"]


def test_a_log_that_ends_inside_a_commit_is_missing_its_rest():
    log = a_full_log()
    assert named(verdict_on(log.rows[:3])) == [(4, "missing")]
    assert named(verdict_on(log.rows[:1])) == [(2, "missing")]


@pytest.mark.parametrize(("one", "other"), [(5, 6), (3, 7), (2, 9), (8, 9), (1, 2)])
def test_two_rows_that_changed_places_are_named(one: int, other: int):
    rows = a_full_log().rows
    first, second = rows[one - 1], rows[other - 1]
    rows[one - 1], rows[other - 1] = replace(second, seq=one), replace(first, seq=other)
    findings = {finding.seq: finding for finding in verdict_on(rows).findings if finding.kind == "reordered"}
    assert findings[one].detail == f"row {one} holds what was written as row {other}"
    assert findings[other].detail == f"row {other} holds what was written as row {one}"
    assert {at for at, _ in named(verdict_on(rows))} == {one, other}


def test_rows_that_come_in_another_order_are_named():
    rows = a_full_log().rows
    rows[4], rows[5] = rows[5], rows[4]
    assert (5, "reordered") in named(verdict_on(rows))


def test_bytes_that_are_no_event_are_named():
    rows = a_full_log().rows
    body = b"\xc1nonsense"
    rows[4] = replace(rows[4], body=body, hash=codec.next_hash(rows[3].hash, 1, 5, rows[4].at, body))
    assert named(verdict_on(rows))[0] == (5, "undecodable")


def test_a_log_of_another_auction_is_not_taken_for_this_one():
    verifier = LogVerifier(kind_of("auction"), AUCTION + 1)
    for row in a_full_log().rows:
        verifier.feed(row)
    assert {(1, "changed"), (1, "first_row")} == set(named(verifier.finish()))


def forged(change: Callable[[Event], Event], seq: int) -> list[LogRow]:
    """The full log with one event changed and every hash recomputed: the chain is valid."""
    rows: list[LogRow] = []
    for row in a_full_log().rows:
        event = decode_event(row.body)
        rows.append(Log.row_after(rows, change(event) if row.seq == seq else event, row.at, row.command_key))
    return rows


@pytest.mark.parametrize(
    ("seq", "change", "said"),
    [
        (9, lambda e: replace(e, winner=2, winner_name="bidder2"), "winner 2 for 3"),
        (9, lambda e: replace(e, price=usd(50)), "price 50000000 for 51000000"),
        (9, lambda e: replace(e, reason="buy_now"), "can't come by itself"),
        (7, lambda e: replace(e, price=usd(60)), "price 60000000 for 51000000"),
        (7, lambda e: replace(e, maximum=usd(20)), "bid_too_low"),
        (7, lambda e: replace(e, bidder=1), "own_auction"),
        (
            5,
            lambda e: LeadTaken(*(getattr(e, name) for name in e.__struct_fields__)),
            "the rules give LeadDefended",
        ),
        (8, lambda e: replace(e, ends_at=START), "ends_at"),
        (1, lambda e: replace(e, terms=replace(TERMS, starting_price=0)), "starting_price"),
    ],
)
def test_an_event_that_does_not_follow_is_named_though_every_hash_is_right(
    seq: int, change: Callable[[Event], Event], said: str
):
    found = [finding for finding in verdict_on(forged(change, seq)).findings if finding.seq == seq]
    assert found
    assert said in found[0].detail


def test_an_auction_that_closes_too_early_is_named():
    log = Log()
    log.write([Closed("time", None, None, usd(1))], START + MINUTE)
    assert named(verdict_on(log.rows)) == [(3, "rules")]


def test_a_bid_after_the_end_is_named():
    log = Log()
    at = TERMS.ends_at
    log.write([LeadTaken(2, "b", usd(2), usd(1), usd(1, 25), at, "k")], at)
    assert "auction_closed" in verdict_on(log.rows).findings[0].detail


def test_time_and_epoch_never_fall():
    log = Log().do(bid(2, usd(2)), START + 5_000)
    bid_event = LeadDefended(3, "bidder3", usd(1, 50), usd(1, 75), usd(2), TERMS.ends_at, "k")
    log.write([bid_event], START + 1_000, epoch=0)
    assert named(verdict_on(log.rows)) == [(4, "time"), (4, "time")]


def test_a_command_under_another_key_is_named():
    rows = a_full_log().rows
    rows[4] = replace(rows[4], command_key=None)
    rows[7] = replace(rows[7], command_key=bytes(16))
    assert named(verdict_on(rows)) == [(5, "key"), (8, "key")]


def test_what_other_stores_claim_is_held_against_the_log():
    log = a_full_log()
    summary = log.summary()
    lies = {"winner_id": 2, "price": 1}
    values = tuple(lies.get(name, value) for name, value in zip(summary.names, summary.values, strict=True))
    wrong = replace(summary, values=values)
    assert named(verdict_on(log.rows, wrong)) == [(9, "claim")]
    assert "price 1 for 51000000, winner_id 2 for 3" in verdict_on(log.rows, wrong).findings[0].detail
    stale = replace(log.snapshots[6], seq=8)
    assert named(verdict_on(log.rows, stale)) == [(8, "claim")]
    other_state = replace(log.snapshot(), state=log.snapshots[8].state)
    assert "differs in status, closed_reason, winner" in verdict_on(log.rows, other_state).findings[0].detail
    broken = replace(log.snapshot(), state=b"\xc1")
    assert "can't be read" in verdict_on(log.rows, broken).findings[0].detail


def test_findings_are_bounded_and_counted():
    log = Log()
    rows = log.rows + [
        replace(log.rows[1], seq=seq, hash=bytes([seq % 256]) * 32) for seq in range(3, FINDINGS_MAX + 300)
    ]
    verdict = verdict_on(rows)
    assert len(verdict.findings) == FINDINGS_MAX
    assert verdict.found >= FINDINGS_MAX + 297
