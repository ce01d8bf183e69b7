"""A stored report for tests: 20 s of a profile with every kind of operation."""

from bench.locust.profiles import PROFILES
from bench.locust.results import Result as Recorded
from bench.report.check import Checked
from bench.report.result import FORMAT, Result
from bench.report.series import Tally
from bench.report.slo import verdicts
from bench.report.trend import trend_of

BEGAN_S = 1_000_000.0
SECONDS = 20.0
NOTHING_WRONG = Checked(40, 1, 0, 3, 50, 0, {}, [])


def tally() -> Tally:
    """Two operations of each kind a second, of 5 and 15 ms; one bid was refused by the rules."""
    made = Tally(BEGAN_S, SECONDS)
    for second in range(20):
        for kind in ("ack", "news", "close", "rest"):
            for ms in (5.0, 15.0):
                made.add(Recorded(BEGAN_S + second + 0.5, kind, "some", ms, None))
    made.add(Recorded(BEGAN_S + 3, "ack", "some", 5.0, "bid_too_low"))
    return made


def stored(checked: Checked = NOTHING_WRONG) -> Result:
    """Of the profile `smoke`."""
    profile, made = PROFILES["smoke"], tally()
    memory = {"engine": trend_of([0.0], [100.0])}
    return Result(
        format=FORMAT, profile="smoke", about=profile.about, load={"arrival": "closed loop"},
        began_at="2026-11-29T00:00:00+00:00", seconds=SECONDS,
        slo=verdicts(profile, SECONDS, made.by_kind(), made.errors(), checked, memory),
        kinds=made.by_kind(), names=made.by_name(), errors=made.errors(), over_time=made.over_time(),
        sample_step_s=1.0, samples={"cpu.hosts": [None, 0.25, 0.5], "pss_mib.all": [100.0, None, 101.0]},
        missed_samples={"metrics": 2}, memory=memory, checked=checked, machine={"memory": "8 GiB <b>"},
        settings=[("ECE_PORT", "1", "environment"), ("ECE_DATABASE_URL", "set", "default")], commit="abc",
    )  # fmt: skip
