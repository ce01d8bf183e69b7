"""The command line: one command a module, errors as one clear line."""

import sys

import typer
from rich.console import Console
from rich.markup import escape

from ece.commands.analytics import analytics
from ece.commands.bench.command import app as bench
from ece.commands.catalog import catalog
from ece.commands.demo import demo
from ece.commands.doctor import doctor
from ece.commands.jobs import jobs
from ece.commands.ledger import ledger
from ece.commands.migrate import migrate
from ece.commands.operator import operator
from ece.commands.placement import node, slots
from ece.commands.replay import replay
from ece.commands.up import up
from ece.commands.verify import verify
from ece.failure import Failure
from ece.settings import BadSetting, unknown_variables

app = typer.Typer(
    name="ece",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "The ECE engine: real-time auctions where no acknowledged bid is ever lost.\n\n"
        "Begin with `scripts/up` in one terminal; in another: `scripts/ece replay FILE.csv`, "
        "`scripts/ece bench hot`, `scripts/ece doctor`.\n\n"
        "Settings are environment variables (ECE_…): `scripts/ece doctor` lists them."
    ),
)
app.command()(up)
app.command()(demo)
app.command()(replay)
app.command()(verify)
app.add_typer(operator, name="operator")
app.add_typer(ledger, name="ledger")
app.add_typer(catalog, name="catalog")
app.add_typer(analytics, name="analytics")
app.add_typer(jobs, name="jobs")
app.add_typer(bench, name="bench")
app.add_typer(node, name="node")
app.add_typer(slots, name="slots")
app.command()(doctor)
app.command()(migrate)


def main() -> None:
    """Run a command. Exit code 1 and one line for what went wrong, 2 for wrong usage."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for warning in unknown_variables():
        console.print(f"[yellow]ece:[/] {escape(warning)}")
    try:
        app()
    except (Failure, BadSetting) as error:
        console.print(f"[red]ece:[/] {escape(str(error))}")
        sys.exit(1)


if __name__ == "__main__":
    main()
