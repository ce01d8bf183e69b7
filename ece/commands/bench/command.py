"""`ece bench`: one command for each bench of `bench.registry`."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from bench.definition import Bench, BenchFailed, Option, Report
from bench.engine import LIFTED_LIMITS, OwnEngine
from bench.registry import BENCHES
from bench.wire.accounts_by_rest import NoAccounts
from ece.commands.bench.engine import own_database, own_engine
from ece.commands.bench.idle import until_idle
from ece.commands.bench.output import print_report
from ece.failure import Failure
from ece_client import EceError

T = TypeVar("T")
EXIT_NOT_PASSED, EXIT_INTERRUPTED = 1, 130
JSON_HELP = "Print one JSON object on stdout. Progress goes to stderr."

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Measure the engine over its own wire: authenticated WebSockets, every accepted bid durable.\n\n"
        "Most loads are closed loop: each bidder sends its next bid when the last is answered, from a process of its "
        "own on the same machine.\n\n"
        "A new engine is started on temporary data, and removed again, unless --url names a running one. "
        "Figures of one run compare only with figures of the same run: `compare` measures the engine and other stacks "
        "in turn.\n\n"
        "Begin with: scripts/ece bench hot"
    ),
)


@dataclass(frozen=True)
class RunContext:
    """One run of a bench: its options, its progress, its engines."""

    values: Mapping[str, Any]
    console: Console

    def value(self, option: Option[T]) -> T:
        value: T = self.values[option.name]
        return value

    def progress(self, message: str) -> None:
        self.console.print(f"bench: {message}", markup=False)

    def engine(self, settings: Mapping[str, int | str] = LIFTED_LIMITS) -> AbstractAsyncContextManager[OwnEngine]:
        return own_engine(settings, self.console)

    def database(self) -> AbstractAsyncContextManager[str]:
        return own_database(self.console)

    async def idle(self) -> None:
        await until_idle()


def add_command(bench: Bench) -> None:
    """Add the command of a bench, with its options and `--json`."""

    def command(as_json: bool, **given: Any) -> None:
        values = {option.name: _checked(option, given[option.name]) for option in bench.options}
        report = _run(bench, RunContext(values, Console(stderr=True, highlight=False)))
        if as_json:
            sys.stdout.write(json.dumps({"bench": bench.name, **report.figures}) + "\n")
        else:
            print_report(Console(), report)
        if not report.passed:
            raise typer.Exit(EXIT_NOT_PASSED)

    parameters = [_parameter(option) for option in bench.options]
    as_json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
    parameters.append(Parameter("as_json", Parameter.KEYWORD_ONLY, default=False, annotation=as_json))
    app.command(bench.name, help=_help(bench))(_with_parameters(command, parameters))


def _help(bench: Bench) -> str:
    """Its texts as paragraphs without line breaks."""
    paragraphs = [bench.summary, *bench.help.split("\n\n")]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _with_parameters(command: Callable[..., None], parameters: list[Parameter]) -> Callable[..., None]:
    """Typer makes the options of a command from its signature."""
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return command


def _parameter(option: Option[Any]) -> Parameter:
    hint = f"{option.help} One of: {', '.join(option.choices)}. May be repeated." if option.choices else option.help
    default = typer.Option(
        option.default, *option.flags, metavar=option.unit, help=hint, min=option.minimum, max=option.maximum
    )
    return Parameter(option.name, Parameter.KEYWORD_ONLY, default=default, annotation=option.type)


def _checked(option: Option[Any], given: Any) -> Any:
    """The value of an option. Raises Failure for one that is not a choice."""
    if not option.choices:
        return given
    noun = option.unit.lower()
    for name in given:
        if name not in option.choices:
            raise Failure(
                f"{option.flags[0]} {name}: there is no such {noun}. "
                f"{noun.capitalize()}s are {', '.join(option.choices)}."
            )
    return [choice for choice in option.choices if not given or choice in given]


def _run(bench: Bench, context: RunContext) -> Report:
    async def run() -> Report:
        return await bench.run(context)

    try:
        return asyncio.run(run())
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (BenchFailed, NoAccounts, EceError, OSError) as error:
        raise Failure(f"The bench stopped: {error}") from error


for _bench in BENCHES:
    add_command(_bench)
