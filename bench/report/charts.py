"""The charts of a report, in their order on the page."""

from collections.abc import Iterator, Mapping

from bench.report.drawing import Chart, Values
from bench.report.result import Result
from bench.report.sampling import CPU, OTHERS, PSS, SAMPLER, SHARED
from bench.report.series import KindOverTime

KIND_TITLES = {
    "ack": "Answers to commands",
    "news": "Updates at watchers",
    "close": "Close of auctions",
    "rest": "Requests over HTTP",
}
LINES_MAX = 8


def charts(result: Result) -> Iterator[Chart]:
    """Those for which there are values."""
    for chart in (*_latencies(result), *_throughput(result), *_samples(result)):
        if any(value is not None for values in chart.lines.values() for value in values):
            yield chart


def _latencies(result: Result) -> Iterator[Chart]:
    bounds = {one.name: one.bound for one in result.slo}
    for kind, series in result.over_time.kinds.items():
        bound = {
            f"{rank} bound {bounds[name]:,g} ms": bounds[name]
            for rank in ("p99", "p95")
            if (name := f"{kind}_{rank}_ms") in bounds
        }
        lines = {"p50": series.p50_ms, "p90": series.p90_ms, "p99": series.p99_ms, "max": series.max_ms}
        title = f"{KIND_TITLES.get(kind, kind)}: latency"
        yield Chart(f"latency-{kind}", title, "ms", result.over_time.step_s, lines, bound, logarithmic=True)


def _throughput(result: Result) -> Iterator[Chart]:
    kinds, step_s = result.over_time.kinds, result.over_time.step_s
    yield Chart("throughput", "Operations that succeeded", "per second", step_s, _of(kinds, "per_s"), {})
    failing = {kind: series for kind, series in kinds.items() if any(series.errors_per_s)}
    yield Chart("errors", "Operations that failed", "per second", step_s, _of(failing, "errors_per_s"), {})


def _of(kinds: Mapping[str, KindOverTime], field: str) -> dict[str, Values]:
    return {kind: getattr(series, field) for kind, series in kinds.items()}


def _samples(result: Result) -> Iterator[Chart]:
    def chart(name: str, title: str, unit: str, lines: Mapping[str, Values]) -> Chart:
        return Chart(name, title, unit, result.sample_step_s, _largest(lines), {})

    yield Chart("cpu", "Processor time", "processors", result.sample_step_s, _processors(result), {}, stacked=True)
    yield chart(
        "memory", "Memory (PSS) of the engine", "MiB", _group(result, PSS) | _picked(result, {SHARED: "shared memory"})
    )
    yield chart("queues", "Queues", "entries", _some(_group(result, "queue.")))
    picked = {
        "log.commit_ms": "commit at the host (smoothed)",
        "engine_ack.mean_ms": "bid in the engine (mean)",
    }
    yield chart("engine", "Time in the engine", "ms", _picked(result, picked))
    yield chart(
        "commits", "Commits", "per second",
        _picked(result, {"db.commits_per_s": "PostgreSQL", "log.commits_per_s": "appends to the log"}),
    )  # fmt: skip
    yield chart("wal", "Write-ahead log", "MiB/s", _picked(result, {"db.wal_mib_per_s": "WAL"}))
    yield chart("connections", "Connections to PostgreSQL", "connections", _some(_group(result, "connections.")))
    yield chart("sizes", "Data on disk", "MiB", _group(result, "size_mib."))


def _processors(result: Result) -> dict[str, Values]:
    """The engine's groups, the small ones together, and what else the machine does."""
    cpu = _group(result, CPU)
    others = {name: cpu.pop(name) for name in (OTHERS.removeprefix(CPU), SAMPLER.removeprefix(CPU)) if name in cpu}
    shown = _largest(cpu, LINES_MAX - len(others) - 1)
    rest = [values for name, values in cpu.items() if name not in shown]
    if rest:
        shown["other parts"] = [sum(value or 0 for value in values) for values in zip(*rest, strict=True)]
    return shown | others


def _group(result: Result, prefix: str) -> dict[str, Values]:
    return {
        name.removeprefix(prefix): values for name, values in result.samples.items() if name.startswith(prefix)
    }  # fmt: skip


def _picked(result: Result, names: Mapping[str, str]) -> dict[str, Values]:
    return {label: result.samples[name] for name, label in names.items() if name in result.samples}


def _some(lines: Mapping[str, Values]) -> dict[str, Values]:
    """Without those that are zero throughout."""
    return {label: values for label, values in lines.items() if any(values)}


def _largest(lines: Mapping[str, Values], most: int = LINES_MAX) -> dict[str, Values]:
    """As many as can be told apart."""

    def size(label: str) -> float:
        return max((value for value in lines[label] if value is not None), default=0.0)

    kept = sorted(lines, key=size, reverse=True)[:most]
    return {label: lines[label] for label in kept}
