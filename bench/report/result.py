"""A finished run, as it is stored in `report.json` and shown on the page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.definition import BenchFailed
from bench.report.check import Checked
from bench.report.series import OverTime, Summary
from bench.report.slo import Verdict
from bench.report.trend import Trend

FORMAT = 1


class Result(msgspec.Struct, frozen=True):
    """`samples` have a value for each interval of `sample_step_s`; None: nothing was read in it. Latencies in ms."""

    format: int
    profile: str
    about: str
    load: dict[str, str]
    began_at: str
    seconds: float
    slo: list[Verdict]
    kinds: list[Summary]
    names: list[Summary]
    errors: dict[str, dict[str, int]]
    over_time: OverTime
    sample_step_s: float
    samples: dict[str, list[float | None]]
    missed_samples: dict[str, int]
    memory: dict[str, Trend]
    checked: Checked
    machine: dict[str, str]
    settings: list[tuple[str, str, str]]
    commit: str

    @property
    def failed(self) -> bool:
        """Whether a bound was passed. A bound of which nothing was measured fails, too: nobody knows."""
        return any(verdict.met is not True for verdict in self.slo)

    def figures(self) -> Mapping[str, Any]:
        """What `--json` prints: the report without its curves."""
        return {
            "profile": self.profile,
            "seconds": self.seconds,
            "slo": [msgspec.to_builtins(verdict) for verdict in self.slo],
            "violations": [msgspec.to_builtins(one) for one in self.checked.violations],
            "violations_count": sum(self.checked.by_kind.values()),
            "lost": self.checked.lost,
            "acks": self.checked.acks,
            "kinds": [msgspec.to_builtins(kind) for kind in self.kinds],
            "errors": self.errors,
            "memory": {name: msgspec.to_builtins(trend) for name, trend in self.memory.items()},
            "commit": self.commit,
        }


def write(result: Result, path: Path) -> None:
    path.write_bytes(msgspec.json.encode(result))


def read(path: Path) -> Result:
    """Raises BenchFailed for what is not a stored report of this format."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except (OSError, msgspec.DecodeError) as error:
        raise BenchFailed(f"{path} is not a report that can be shown: {error}") from error
