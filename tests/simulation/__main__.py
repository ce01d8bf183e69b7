"""``python -m tests.simulation``: runs seeds, and prints those that break a promise and how to run them again."""

import argparse
import sys
import time
from contextlib import nullcontext
from functools import partial
from multiprocessing import Pool

from tests.simulation.mutants import MUTANTS
from tests.simulation.simulation import Result, simulate

AGAIN = "python -m tests.simulation{} --seed {} --trace"


def main() -> int:
    """Returns 1 if a promise is broken."""
    options = _options()
    mutant = next((one for one in MUTANTS if one.name == options.mutant), None)
    seizing = options.seizing or (mutant is not None and mutant.seizing)
    with nullcontext() if mutant is None else mutant.applied():
        if options.seed is not None:
            show = print if options.trace else None
            return _report(simulate(options.seed, show, options.faults, seizing=seizing))
        began_s = time.monotonic()
        seeds = range(options.start, options.start + options.seeds)
        again = " --seizing" if seizing else ""
        run = partial(simulate, faults=options.faults, seizing=seizing)
        if options.processes == 1:
            failed = sum(_report_failed(run(seed), again) for seed in seeds)
        else:
            with Pool(options.processes) as pool:
                failed = sum(_report_failed(result, again) for result in pool.imap(run, seeds, chunksize=8))
        took_s = time.monotonic() - began_s
    _say(f"{len(seeds)} seeds, {failed} failed, {60 * len(seeds) / took_s:,.0f} a minute")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many seeds to run")
    parser.add_argument("--from", dest="start", type=int, default=0, metavar="SEED", help="the first of them")
    parser.add_argument("--processes", type=int, default=1, help="run so many seeds at the same time")
    parser.add_argument("--seed", type=int, help="run this seed alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: print each step")
    parser.add_argument("--faults", type=int, help="so many faults in each run, instead of as many as it decides")
    parser.add_argument(
        "--seizing", action="store_true", help="hosts also acquire slots of hosts that live and have a lease"
    )
    parser.add_argument("--mutant", choices=[one.name for one in MUTANTS], help="break the engine in this way")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _report(result: Result) -> int:
    for finding in result.findings:
        _say(finding)
    _say(
        f"seed {result.seed}: {len(result.findings)} findings, {result.faults} faults, {result.commands} commands,"
        f" {result.acks} acks, {result.steps} steps, trace {result.digest}"
    )
    return 1 if result.findings else 0


def _report_failed(result: Result, options: str) -> int:
    if not result.findings:
        return 0
    _say(f"seed {result.seed}: {result.findings[0]}\n    {AGAIN.format(options, result.seed)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
