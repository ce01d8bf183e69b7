"""How soon every auction accepts bids after a fault."""

from bench.faults.injection.injector import Injected
from bench.faults.injection.kinds import KILL, PAUSE
from bench.faults.injection.schedule import Fault
from bench.faults.recording import Acked, Order, Recording
from bench.faults.recovery import RECOVERY, late, recovery_of

FAULT = Fault(1.0, KILL.name, ("host",))
S = 1_000_000_000


def ack(auction: str, sent_s: float, answered_s: float) -> Acked:
    order = Order(auction, "ann", f"{sent_s}", 1, round(sent_s * S))
    return Acked(order, round(answered_s * S), 1, 0, "leading", 1, 1, None)


def test_it_is_the_slowest_auctions_first_answer_to_a_bid_sent_after_the_fault():
    acks = [ack("a", 0.9, 4.0), ack("a", 1.5, 3.0), ack("a", 1.6, 2.0), ack("b", 1.2, 5.5), ack("b", 6.0, 6.1)]
    recovered, never = recovery_of(Recording(acks=acks), [Injected(FAULT, S, ("host",))], ["a", "b"])
    assert (recovered, never) == ({0: 4.5}, [])


def test_a_fault_after_which_an_auction_accepts_nothing_is_named():
    acks = [ack("a", 2.0, 2.1), ack("b", 0.5, 3.0)]
    recovered, never = recovery_of(Recording(acks=acks), [Injected(FAULT, S, ("host",))], ["a", "b"])
    assert (recovered, never) == ({}, [FAULT])


def at(fault: Fault, at_s: float) -> Injected:
    return Injected(fault, round(at_s * S), fault.parts)


def test_a_recovery_after_the_stated_time_is_a_violation_and_one_in_time_is_not():
    within_s = FAULT.recovers_within_s
    assert late([at(FAULT, 0)], {0: within_s}, []) == []
    [found] = late([at(FAULT, 0)], {0: within_s + 1}, [])
    assert (found.kind, found.detail) == (RECOVERY, f"{within_s + 1} s after {FAULT}, {within_s} s are allowed")


def test_no_recovery_at_all_is_a_violation():
    assert [found.kind for found in late([at(FAULT, 0)], {}, [FAULT])] == [RECOVERY]


def test_a_fault_before_the_deadline_of_another_one_moves_it_once():
    pause = Fault(0.0, PAUSE.name, ("host",), 6.0)
    done = [at(FAULT, 0), at(pause, FAULT.recovers_within_s)]
    moved_s = FAULT.recovers_within_s + pause.recovers_within_s
    assert late(done, {0: moved_s}, []) == []
    assert len(late(done, {0: moved_s + 1}, [])) == 1
    # One that comes after the deadline does not.
    assert len(late([at(FAULT, 0), at(pause, FAULT.recovers_within_s + 1)], {0: moved_s}, [])) == 1
