"""Load tests with Locust: a profile of users against an engine, judged by the objective of the profile."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

from bench.definition import Bench, BenchFailed, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS, Engine
from bench.locust.prepare import NotPrepared, Order, prepare
from bench.locust.profiles import PROFILES, Profile
from bench.locust.results import read_results
from bench.locust.run import Load, run_locust
from bench.locust.verdicts import summary, verdicts
from bench.wire.accounts_by_rest import AccountsByRest

SECONDS_OF_THE_PAGE = 300.0
WORKERS_MAX = 64

PROFILE = Option(("--profile",), Literal[tuple(PROFILES)], "smoke", "PROFILE", "Who takes part, and how.")
USERS = Option[int | None](
    ("--users",), int | None, None, "USERS", "Users in all, instead of the profile's.", minimum=1, maximum=100_000
)
RATE = Option[float | None](
    ("--rate",), float | None, None, "RATE",
    "Open loop: so many operations of all users start each second, whatever is answered.", minimum=0.01, maximum=1e6,
)  # fmt: skip
SECONDS = Option(("--seconds",), float, 30.0, "SECONDS", "Length of the run.", minimum=1, maximum=86_400)
WORKERS = Option(
    ("--workers",), int, 1, "WORKERS", "Load processes, with a master if more than one.", minimum=1, maximum=WORKERS_MAX
)
URL = Option[str | None](
    ("--url",), str | None, None, "URL", "A running engine, instead of a new one on temporary data."
)
RECORDING = Option[Path | None](
    ("--recording",), Path | None, None, "FILE", "For the profile replay: eBay auctions as CSV, or estate lots as JSON."
)
RESULTS = Option[Path | None](
    ("--results",), Path | None, None, "DIR", "Keep the stream of results there: JSON lines, a file for each process."
)
WEB = Option(("--web",), bool, False, "", "Locust's page on 127.0.0.1, instead of a run of --seconds.")


async def run(context: Context) -> Report:
    profile, users = PROFILES[context.value(PROFILE)], context.value(USERS)
    web = context.value(WEB)
    async with _engine(context) as engine:
        order = Order(
            url=engine.base_url,
            profile=profile.name,
            users=users or profile.users,
            seconds=SECONDS_OF_THE_PAGE if web else context.value(SECONDS),
            rate=context.value(RATE) or profile.rate,
            recording=_text(context.value(RECORDING)),
        )
        try:
            plan = await prepare(order, engine.accounts, context.progress)
        except NotPrepared as error:
            raise BenchFailed(str(error)) from error
        with _results(context.value(RESULTS)) as directory:
            load = Load(order.users, context.value(SECONDS), context.value(WORKERS), directory, web)
            if not web:
                context.progress(f"{profile.name}: {profile.about}; {order.users:,} users, {load.seconds:g} s")
            await run_locust(plan, load, context.progress)
            figures = summary(read_results(directory))
        return report(profile, order, load, figures)


def report(profile: Profile, order: Order, load: Load, figures: Mapping[str, Any]) -> Report:
    """The rows of Locust's page, by exact percentiles; then the verdicts."""
    found = verdicts(profile.slo, figures)
    passed = all(one["met"] for one in found)
    head = {
        "profile": profile.name, "users": order.users, "rate": order.rate, "workers": load.workers,
        "slo": found, "passed": passed,
    }  # fmt: skip
    rows = [
        [f"{kind} {name}", f"{of['count']:,}", *(_ms(of[share]) for share in ("p50", "p95", "p99")),
         f"{sum(of['refused'].values()):,}", f"{sum(of['errors'].values()):,}"]
        for kind, names in figures["names"].items()
        for name, of in names.items()
    ]  # fmt: skip
    errors = ", ".join(f"{code} {count:,}" for code, count in figures["errors"].items())
    return Report(
        {**head, **figures},
        [
            Table(f"{profile.name}: {profile.about}", ("", "count", "p50 ms", "p95", "p99", "refused", "errors"), rows),
            f"Errors by code: {errors or 'none'}.",
            *(_verdict(one) for one in found),
        ],
        passed,
    )


def _verdict(one: Mapping[str, Any]) -> str:
    mark = "met" if one["met"] else "NOT met"
    measured = "nothing measured" if one["measured"] is None else f"{one['measured']:g}"
    return f"{one['name']}: {measured} (at most {one['bound']:g}): {mark}"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


@asynccontextmanager
async def _engine(context: Context) -> AsyncIterator[Engine]:
    """The engine at the URL, or a new one with room for the sockets."""
    url = context.value(URL)
    if url is not None:
        yield Engine(url, AccountsByRest(url))
        return
    async with context.engine(LIFTED_LIMITS) as engine:
        yield engine


@contextmanager
def _results(directory: Path | None) -> Iterator[Path]:
    """Where the results go: the directory that is to be kept, or a temporary one."""
    if directory is not None:
        if directory.exists() and any(directory.iterdir()):
            raise BenchFailed(f"--results {directory}: the directory is not empty")
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="ece-results-") as temporary:
        yield Path(temporary)


locust = Bench(
    "locust",
    "Load tests with Locust: a profile of users, judged by its service level objective.",
    "ack: from when a command was due to its reply. news: from when a bid was due to the first frame with it at a "
    "watcher. close: from the end of an auction to the frame that says so. rest: REST requests. "
    "refused: by the rules, such as bid_too_low; these are no errors.\n\n"
    "With a rate (open loop) operations are due at fixed times, and waiting counts. Exit code 1: the objective is not "
    "met.\n\n"
    "Profiles: " + "; ".join(f"{one.name} ({one.about})" for one in PROFILES.values()) + ".",
    (PROFILE, USERS, RATE, SECONDS, WORKERS, URL, RECORDING, RESULTS, WEB),
    run,
)
