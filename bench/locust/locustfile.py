"""The locustfile: `locust -f bench/locust/locustfile.py --host http://127.0.0.1:8000 --profile smoke`.

The master, or the only process, has the plan of the run: from `--plan FILE`, or made when the test starts. It sends it
to the workers before they start users.
"""

import functools
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gevent
import msgspec
from locust import argument_parser, events, runners
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from bench.locust.plan import Plan
from bench.locust.prepare import Order
from bench.locust.profiles import NEED_AN_OPERATOR, PROFILES, Profile
from bench.locust.results import SUFFIX
from bench.locust.state import LoadState, current, install
from bench.locust.users.audience import Browser, Watcher
from bench.locust.users.bidders import Bot, ProxyRaiser, Sniper, SteadyBidder
from bench.locust.users.market import Minter, Seller, Trader
from bench.locust.users.replayer import Replayer

CLASSES = (SteadyBidder, Sniper, ProxyRaiser, Bot, Watcher, Seller, Browser, Trader, Minter, Replayer)
PROFILE_DEFAULT = "smoke"
PLAN = "ece_plan"
URL_DEFAULT = "http://127.0.0.1:8000"
PREPARED_WITHIN_S = 600.0
# Auctions that end are set up for so long where the run has no end.
SECONDS_DEFAULT = 300.0
EXIT_NOT_PREPARED = 2

log = logging.getLogger("bench.locust")

# Locust's worker calls it for each of its 80 options, at each of the steps in which users arrive: seconds of one core.
argument_parser.default_args_dict = functools.cache(argument_parser.default_args_dict)
# In seconds. By default a worker that is silent for 3 s is given up: on a loaded machine that ends the run.
runners.HEARTBEAT_LIVENESS = 30


def add_options(parser: argument_parser.LocustArgumentParser, **_: Any) -> None:
    """Options besides those of Locust, which has a `--profile`. Only the rate can be changed on Locust's page."""
    parser.add_argument(
        "--rate", type=float, default=0.0,
        help="Open loop: operations a second of all users together. 0: as the profile says.",
    )  # fmt: skip
    for flag, what in (
        ("--recording", "Recorded auctions, for the profile replay."),
        ("--plan", "What was set up, as `ece bench locust` writes it. Without: it is set up when the test starts."),
        ("--results", "Directory for the results, a JSON line an operation."),
    ):
        parser.add_argument(flag, default="", help=what, include_in_web_ui=False)


def choose_users(environment: Environment, runner: Any, **_: Any) -> None:
    """The classes of the profile, with its weights; and the plan from the master, where this is a worker."""
    options, profile = _options(environment), _profile(environment)
    plan = None
    if isinstance(runner, WorkerRunner):
        runner.register_message(PLAN, _receive)
    elif options.headless or options.plan:
        # Now, because the time of --run-time passes once the test has started.
        plan = environment.ece_plan = _made_plan(environment)  # type: ignore[attr-defined]
    chosen = [one for one in CLASSES if one.__name__ in _taking_part(profile, plan)]
    for one in chosen:
        one.weight = profile.weights[one.__name__]
    environment.user_classes[:] = chosen
    # Timers count from the time that gevent last looked at the clock: before all this work. --run-time is the next one.
    gevent.get_hub().loop.update_now()


def _taking_part(profile: Profile, plan: Plan | None) -> set[str]:
    """The classes of users for whom something is set up."""
    left_out = set() if plan is None or plan.cards else NEED_AN_OPERATOR
    return set(profile.weights) - left_out


def prepare(environment: Environment, **_: Any) -> None:
    """Get the plan, and give every process its part."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        return
    plan = getattr(environment, "ece_plan", None) or _made_plan(environment)
    # The rate can be changed on the page.
    plan = msgspec.structs.replace(plan, rate=_options(environment).rate or plan.rate)
    if isinstance(runner, MasterRunner):
        workers = [worker.id for worker in runner.clients.ready]
        for number, worker in enumerate(workers):
            message = {"plan": msgspec.json.encode(plan), "number": number, "processes": len(workers)}
            runner.send_message(PLAN, message, worker)
    elif isinstance(runner, LocalRunner):
        install(environment, LoadState(environment, plan, 0, 1, _results_file(environment)))


def write_results(environment: Environment, **_: Any) -> None:
    """The run is over, or the process ends before its users have stopped."""
    try:
        current(environment).close()
    except LookupError:
        return
    install(environment, None)


def _receive(environment: Environment, msg: Any, **_: Any) -> None:
    """The plan from the master."""
    plan = msgspec.json.decode(msg.data["plan"], type=Plan)
    number, processes = msg.data["number"], msg.data["processes"]
    install(environment, LoadState(environment, plan, number, processes, _results_file(environment)))


def _options(environment: Environment) -> Any:
    assert environment.parsed_options is not None, "started by Locust's command line"
    return environment.parsed_options


def _profile(environment: Environment) -> Profile:
    """The one of the command line. Ends the process where there is no such profile."""
    name = _options(environment).profile or PROFILE_DEFAULT
    if name not in PROFILES:
        sys.exit(f"--profile {name}: there is no such profile. Profiles are {', '.join(PROFILES)}.")
    return PROFILES[name]


def _results_file(environment: Environment) -> Path | None:
    directory = _options(environment).results
    return Path(directory) / f"load-{os.getpid()}{SUFFIX}" if directory else None


def _made_plan(environment: Environment) -> Plan:
    """The plan of `--plan`, or a new one. Ends the process where that fails."""
    options = _options(environment)
    try:
        if options.plan:
            return msgspec.json.decode(Path(options.plan).read_bytes(), type=Plan)
        return _prepared(_order(environment))
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:
        log.error("The run can't be prepared: %s", error)
        # Not SystemExit, which Locust takes for the end of one greenlet.
        os._exit(EXIT_NOT_PREPARED)


def _order(environment: Environment) -> Order:
    options, profile = _options(environment), _profile(environment)
    on_page = 0 if environment.runner is None else environment.runner.target_user_count
    return Order(
        url=environment.host or URL_DEFAULT,
        profile=profile.name,
        users=on_page or options.num_users or profile.users,
        seconds=options.run_time or SECONDS_DEFAULT,
        rate=options.rate or profile.rate,
        recording=options.recording or None,
    )


def _prepared(order: Order) -> Plan:
    """In a process of its own: it needs asyncio, which does not run here."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.locust.prepare"],
        input=msgspec.json.encode(order), stdout=subprocess.PIPE, timeout=PREPARED_WITHIN_S, check=True,
    )  # fmt: skip
    return msgspec.json.decode(done.stdout, type=Plan)


_EVENTS: Any = events
_EVENTS.init_command_line_parser.add_listener(add_options)
_EVENTS.init.add_listener(choose_users)
_EVENTS.test_start.add_listener(prepare)
_EVENTS.test_stop.add_listener(write_results)
_EVENTS.quitting.add_listener(write_results)
