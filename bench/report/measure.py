"""`ece bench report`: run a load profile against a new engine, sample, check by the log, and write the report."""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.cells import NONE, ms, rate
from bench.definition import Bench, BenchFailed, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS, OwnEngine
from bench.loads.processes import output_of, python_module
from bench.locust.plan import Plan
from bench.locust.prepare import NotPrepared, Order, prepare
from bench.locust.profiles import PROFILES, Profile
from bench.locust.results import SUFFIX, read_results
from bench.locust.results import Result as Recorded
from bench.locust.run import Load, run_locust
from bench.measures.load_tests.locust import PROFILE, RATE, RECORDING, USERS, WORKERS
from bench.report.check import Checked, Sent, check
from bench.report.machine import commit, machine
from bench.report.result import FORMAT, Result, read, write
from bench.report.sampling import HEAP, SHARED, Samples, sampling, steps_of
from bench.report.series import Tally
from bench.report.slo import Verdict, verdicts
from bench.report.sorted_acks import SortedAcks
from bench.report.trend import trend_of
from persistence.postgres.errors import StoreError

DRAWN_WITHIN_S = 180.0
# Sockets besides those of the users: their preparation, checks.
SOCKETS_SPARE = 1_000
SHOWN_MAX = 10
JSON_NAME, HTML_NAME = "report.json", "report.html"

SECONDS: Option[float] = Option(
    ("--seconds",), float, 60.0, "SECONDS", "Length of the load.", minimum=1, maximum=21_600
)
OUT: Option[Path | None] = Option(
    ("--out",), Path | None, None, "DIR", f"Where {HTML_NAME} and {JSON_NAME} go. Without: ece-report-PROFILE-TIME."
)
STORED: Option[Path | None] = Option(
    ("--stored", "--from"), Path | None, None, "JSON", "Show a stored report again; nothing is measured."
)


async def run(context: Context) -> Report:
    stored = context.value(STORED)
    if stored is not None:
        result, out = read(stored), context.value(OUT) or stored.parent
    else:
        profile = PROFILES[context.value(PROFILE)]
        profile = replace(
            profile,
            users=context.value(USERS) or profile.users,
            rate=context.value(RATE) or profile.rate,
        )
        out = context.value(OUT) or Path(f"ece-report-{profile.name}-{datetime.now():%Y%m%d-%H%M%S}")
        result = await measure(context, profile, context.value(SECONDS))
    context.progress("drawing")
    page = await output_of(
        python_module("bench.report.page"), given=msgspec.json.encode(result), deadline_s=DRAWN_WITHIN_S
    )
    await asyncio.to_thread(_store, result, page, out)
    return report(result, out / HTML_NAME)


async def measure(context: Context, profile: Profile, seconds: float) -> Result:
    """A new engine under this load, and everything that was seen."""
    with tempfile.TemporaryDirectory(prefix="ece-report-") as directory:
        results, scratch = Path(directory) / "results", Path(directory) / "acks"
        for folder in (results, scratch):
            folder.mkdir()
        async with context.engine({**LIFTED_LIMITS, "sockets_max": SOCKETS_SPARE + profile.users}) as engine:
            await context.idle()
            about = await asyncio.to_thread(machine)
            plan = await _plan(context, engine, profile, seconds)
            async with sampling(engine) as samples:
                context.progress(f"{profile.name}: {profile.about}; {profile.users:,} users, {seconds:g} s")
                load = Load(profile.users, seconds, context.value(WORKERS), results)
                await run_locust(plan, load, context.progress)
            context.progress("reading what the load has recorded")
            began_s = began_at(results)
            tally, sent = await asyncio.to_thread(_read, results, scratch, began_s, seconds)
            context.progress(f"checking {sent.acks.count:,} acknowledged bids by the log")
            try:
                checked = await check(engine.database_url, sent)
            except StoreError as error:
                raise BenchFailed(f"the log can't be read: {error}") from error
            samples = samples.between(began_s, began_s + seconds)
            return _result(profile, began_s, tally, samples, checked, about, engine.settings)


async def _plan(context: Context, engine: OwnEngine, profile: Profile, seconds: float) -> Plan:
    recording = context.value(RECORDING)
    path = None if recording is None else str(recording.resolve())
    order = Order(engine.base_url, profile.name, profile.users, seconds, profile.rate, path)
    try:
        return await prepare(order, engine.accounts, context.progress)
    except NotPrepared as error:
        raise BenchFailed(str(error)) from error


def began_at(results: Path) -> float:
    """When the first operation finished: Locust takes seconds to start. Each file is in the order of time."""
    firsts = []
    for path in results.glob(f"*{SUFFIX}"):
        with path.open("rb") as lines, suppress(msgspec.DecodeError):
            firsts.append(msgspec.json.decode(lines.readline(), type=Recorded).at)
    if not firsts:
        raise BenchFailed("the load has recorded nothing")
    return min(firsts)


def _read(results: Path, scratch: Path, began_s: float, seconds: float) -> tuple[Tally, Sent]:
    tally, sent = Tally(began_s, seconds), Sent(SortedAcks(scratch))
    try:
        for result in read_results(results):
            tally.add(result)
            sent.add(result)
    except msgspec.DecodeError as error:
        raise BenchFailed(f"the load has recorded what can't be read: {error}") from error
    return tally, sent


def _result(
    profile: Profile, began_s: float, tally: Tally, samples: Samples, checked: Checked, about: dict[str, str],
    settings: Sequence[tuple[str, str, str]],
) -> Result:  # fmt: skip
    seconds, kinds, errors = tally.seconds, tally.by_kind(), tally.errors()
    memory = {name.removeprefix(HEAP): trend_of(*samples.of(name)) for name in samples.names() if name.startswith(HEAP)}
    memory["shared memory"] = trend_of(*samples.of(SHARED))
    steps = steps_of(seconds)
    return Result(
        format=FORMAT,
        profile=profile.name,
        about=profile.about,
        load=_load(profile),
        began_at=datetime.fromtimestamp(began_s, UTC).isoformat(timespec="seconds"),
        seconds=seconds,
        slo=verdicts(profile, seconds, kinds, errors, checked, memory),
        kinds=kinds,
        names=tally.by_name(),
        errors=errors,
        over_time=tally.over_time(),
        sample_step_s=seconds / steps,
        samples=samples.over_time(seconds / steps, steps),
        missed_samples=dict(samples.missed),
        memory=memory,
        checked=checked,
        machine=about,
        settings=list(settings),
        commit=commit(),
    )


def _load(profile: Profile) -> dict[str, str]:
    """The profile, for people."""
    scene = {name: value for name, value in msgspec.to_builtins(profile.scene).items() if value}
    from_s, to_s = profile.think_s
    closed = f"closed loop, {from_s:g} to {to_s:g} s after each operation"
    return {
        "users": str(profile.users),
        "arrival": closed if profile.rate is None else f"open loop, {profile.rate:g} operations/s",
        "kinds of users": ", ".join(f"{count} {name}" for name, count in profile.weights.items()),
        "prepared": ", ".join(f"{name} {value:g}" for name, value in scene.items()) or NONE,
    }


def _store(result: Result, page: bytes, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write(result, out / JSON_NAME)
    (out / HTML_NAME).write_bytes(page)


def report(result: Result, html: Path) -> Report:
    """The verdicts, and where the page is."""
    rows = [(one.name, _bound(one), _amount(one.measured, one.unit), _word(one)) for one in result.slo]
    kinds = [
        (
            kind.kind, rate(kind.count / result.seconds), f"{kind.errors:,}",
            *(ms(kind.percentiles[name]) for name in ("p50", "p90", "p99")), ms(kind.max_ms),
        )
        for kind in result.kinds
    ]  # fmt: skip
    return Report(
        {**result.figures(), "html": str(html), "json": str(html.with_name(JSON_NAME))},
        [
            Table(f"{result.profile}: {result.seconds:g} s", ("", "bound", "measured", "verdict"), rows),
            Table("Latencies in ms", ("", "per s", "errors", "p50", "p90", "p99", "max"), kinds),
            *(f"{one.kind} {one.auction}: {one.detail}" for one in result.checked.violations[:SHOWN_MAX]),
            f"{result.checked.acks:,} acknowledged bids were looked up in the log, {result.checked.lost:,} are lost.",
            f"The report: {html}",
        ],
        passed=not result.failed,
    )


def _bound(verdict: Verdict) -> str:
    return f"{'≥' if verdict.at_least else '≤'} {_amount(verdict.bound, verdict.unit)}"


def _amount(value: float | None, unit: str) -> str:
    return NONE if value is None else f"{value:,.4g} {unit}".rstrip()


def _word(verdict: Verdict) -> str:
    return {True: "met", False: "MISSED", None: "not measured"}[verdict.met]


bench = Bench(
    "report",
    "A load profile against a new engine, sampled and then checked by the log: an HTML report.",
    f"""The load runs in processes of its own (see `ece bench locust`). Meanwhile the processes of the engine, its
    queues and PostgreSQL are sampled every second. Afterwards every acknowledged bid is looked up in the log, every
    entry of the log is checked, and the money is added up.

    {HTML_NAME} has the curves and needs no network; {JSON_NAME} has the same for machines. `--from {JSON_NAME}`
    draws the page again.

    Exit code 1: something is lost or wrong, or a bound of the profile was passed or not measured.""",
    (PROFILE, USERS, RATE, SECONDS, WORKERS, RECORDING, OUT, STORED),
    run,
)
