"""The service level objective of a profile against what was measured: a verdict for each bound."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from bench.locust.profiles import REFUSALS_BY_THE_RULES, Profile
from bench.locust.verdicts import BOUNDS
from bench.report.check import Checked
from bench.report.sampling import ENGINE
from bench.report.series import Summary
from bench.report.trend import FALLS, FLAT, GROWS, Trend

# Of an open loop: the share of its rate that has to be reached, or the figures are those of another load.
RATE_SHARE_MIN = 0.95
LATENCIES = {
    "ack": "from the time at which a command was due to its answer",
    "news": "from the time at which a bid was due to the first frame with it at a watcher",
    "close": "from the end of an auction to the frame that says so",
    "rest": "a request over HTTP",
}


class Verdict(msgspec.Struct, frozen=True):
    """`met` is None where nothing was measured. `bound` and `measured` have `unit`; `bound` is a maximum, unless
    `at_least`."""

    name: str
    bound: float
    measured: float | None
    unit: str
    met: bool | None
    about: str
    at_least: bool = False


def verdicts(
    profile: Profile, seconds: float, kinds: Sequence[Summary], errors: Mapping[str, Mapping[str, int]],
    checked: Checked, memory: Mapping[str, Trend],
) -> list[Verdict]:  # fmt: skip
    """Correctness first, then latencies, errors, rate and memory."""
    found = sum(checked.by_kind.values())
    return [
        _at_most("lost", 0, checked.lost, "", "acknowledged bids that the log does not have as they were acknowledged"),
        _at_most("violations", 0, found, "", "broken promises that the check of log and money has found"),
        *_latencies(profile, kinds),
        _at_most(
            "error_share", profile.slo.error_share, error_share(kinds, errors), "",
            "operations that failed; bids that the rules refuse are no failures",
        ),
        *_rate(profile, seconds, kinds),
        *_memory(memory),
    ]  # fmt: skip


def error_share(kinds: Sequence[Summary], errors: Mapping[str, Mapping[str, int]]) -> float | None:
    """Of all operations, those that failed otherwise than by the rules of an auction; None: there were none."""
    total = sum(kind.count + kind.errors for kind in kinds)
    failed = sum(
        count for codes in errors.values() for code, count in codes.items() if code not in REFUSALS_BY_THE_RULES
    )
    return failed / total if total else None


def _latencies(profile: Profile, kinds: Sequence[Summary]) -> Iterator[Verdict]:
    by_kind = {kind.kind: kind for kind in kinds}
    for name, (kind, rank) in BOUNDS.items():
        bound = getattr(profile.slo, name)
        if bound is not None:
            measured = by_kind[kind].percentiles[rank] if kind in by_kind else None
            yield _at_most(name, bound, measured, "ms", LATENCIES[kind])


def _rate(profile: Profile, seconds: float, kinds: Sequence[Summary]) -> Iterator[Verdict]:
    """Of an open loop: whether it was the load that it says."""
    if profile.rate is None:
        return
    done = sum(kind.count + kind.errors for kind in kinds if kind.kind in ("ack", "rest"))
    bound, reached = RATE_SHARE_MIN * profile.rate, done / seconds
    about = f"{RATE_SHARE_MIN:.0%} of the rate of the profile: with less, the figures are those of a smaller load"
    yield Verdict("rate", bound, round(reached, 1), "/s", reached >= bound, about, at_least=True)


def _memory(memory: Mapping[str, Trend]) -> Iterator[Verdict]:
    trend = memory.get(ENGINE)
    if trend is None or trend.per_h is None or trend.bound_per_h is None:
        return
    about = (
        f"growth of the engine's memory an hour, without shared memory, files and local chain, {trend.per_h:+.1f} ± "
        f"{trend.standard_error:.1f}; the bound is its noise (two standard errors, or 1% of {trend.mean:,.0f} MiB)"
    )
    met = {FLAT: True, FALLS: True, GROWS: False}[trend.verdict]
    yield Verdict("memory_mib_per_h", round(trend.bound_per_h, 1), round(trend.per_h, 1), "MiB", met, about)


def _at_most(name: str, bound: float, measured: float | None, unit: str, about: str) -> Verdict:
    return Verdict(name, bound, measured, unit, None if measured is None else measured <= bound, about)
