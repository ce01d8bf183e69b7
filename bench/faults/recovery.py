"""How soon every auction accepted bids again after each fault, and whether that was soon enough."""

import itertools
from bisect import bisect_left
from collections.abc import Sequence

from bench.faults.checker import Violation
from bench.faults.injection.injector import Injected
from bench.faults.injection.schedule import Fault
from bench.faults.recording import Recording

RECOVERY = "recovery"


def late(done: Sequence[Injected], recovered_s: dict[int, float], never: Sequence[Fault]) -> list[Violation]:
    """A violation for each fault without recovery, or with one after its deadline.

    A fault that happens before the deadline of another one moves it to its own.
    """
    found = [Violation(RECOVERY, "", f"no bid was accepted in some auction after {one}") for one in never]
    for place, seconds in recovered_s.items():
        one = done[place]
        ends_s = one.fault.recovers_within_s
        others = [((other.at_ns - one.at_ns) / 1e9, other.fault.recovers_within_s) for other in done]
        allowed_s = max(at_s + within_s for at_s, within_s in others if at_s <= ends_s)
        if seconds > allowed_s:
            detail = f"{seconds:.1f} s after {one.fault}, {allowed_s:.1f} s are allowed"
            found.append(Violation(RECOVERY, "", detail))
    return found


def recovery_of(
    recording: Recording, done: Sequence[Injected], auctions: Sequence[str]
) -> tuple[dict[int, float], list[Fault]]:
    """Seconds until each of these auctions has accepted a bid that was sent after the fault, by the fault's place; and
    the faults after which one of them has not."""
    times: dict[str, list[tuple[int, int]]] = {auction: [] for auction in auctions}
    for ack in recording.acks:
        if ack.order.auction in times:
            times[ack.order.auction].append((ack.order.sent_ns, ack.answered_ns))
    first = {auction: _first_answers(sorted(of_auction)) for auction, of_auction in times.items()}
    recovered, never = dict[int, float](), list[Fault]()
    for place, injected in enumerate(done):
        answered = [_after(first[auction], injected.at_ns) for auction in auctions]
        known = [one for one in answered if one is not None]
        if len(known) < len(answered):
            never.append(injected.fault)
        elif known:
            recovered[place] = (max(known) - injected.at_ns) / 1e9
    return recovered, never


def _first_answers(sent: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """When bids were sent, and the first answer to one that was sent then or later."""
    answers = list(itertools.accumulate((answered for _, answered in reversed(sent)), min))
    return [at for at, _ in sent], answers[::-1]


def _after(first: tuple[list[int], list[int]], at_ns: int) -> int | None:
    place = bisect_left(first[0], at_ns)
    return first[1][place] if place < len(first[0]) else None
