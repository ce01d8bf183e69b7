"""The command line: one command a module, errors as one clear line."""

import io
import sys
from importlib import import_module
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup
from typer.main import get_command, get_group

from ece.failure import Failure
from ece.settings import BadSetting, unknown_variables

# In the order of `ece --help`: where the function or the Typer app of a command is.
COMMANDS = {
    "up": "ece.commands.up:up",
    "demo": "ece.commands.demo:demo",
    "replay": "ece.commands.replay:replay",
    "verify": "ece.commands.verify:verify",
    "roles": "ece.commands.roles:roles",
    "ledger": "ece.commands.ledger:ledger",
    "catalog": "ece.commands.catalog:catalog",
    "content": "ece.commands.chain.content:content",
    "analytics": "ece.commands.analytics:analytics",
    "jobs": "ece.commands.jobs:jobs",
    "mail": "ece.commands.security.mail:mail",
    "chain": "ece.commands.chain.status:chain",
    "mints": "ece.commands.chain.mints:mints",
    "wallets": "ece.commands.chain.wallets:wallets",
    "bench": "ece.commands.bench.command:app",
    "chaos": "ece.commands.bench.chaos:chaos",
    "node": "ece.commands.placement:node",
    "slots": "ece.commands.placement:slots",
    "keys": "ece.commands.security.keys:keys",
    "tokens": "ece.commands.security.tokens:tokens",
    "audit": "ece.commands.security.audit:audit",
    "doctor": "ece.commands.doctor:doctor",
    "migrate": "ece.commands.migrate:migrate",
}


class Commands(TyperGroup):
    """Imports the module of a command when it is used: together they take a second."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            group = get_group(found)
            group.name = cmd_name
            return group
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(found)
        return get_command(alone)


app = typer.Typer(
    name="ece",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def ece() -> None:
    """The ECE engine: real-time auctions where no acknowledged bid is ever lost.

    Begin with `scripts/up` in one terminal; in another: `scripts/ece replay FILE.csv`, `scripts/ece bench hot`,
    `scripts/ece doctor`.

    Settings are environment variables (ECE_…): `scripts/ece doctor` lists them.
    """


def main() -> None:
    """Run a command. Exit code 1 and one line for what went wrong, 2 for wrong usage."""
    _write_completely()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for warning in unknown_variables():
        console.print(f"[yellow]ece:[/] {escape(warning)}")
    try:
        app()
    except (Failure, BadSetting) as error:
        console.print(f"[red]ece:[/] {escape(str(error))}")
        sys.exit(1)


def _write_completely() -> None:
    """With PYTHONUNBUFFERED, Python writes once, and what a full pipe does not take then is lost without an error."""
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        sys.stdout = open(  # noqa: SIM115
            sys.stdout.fileno(), "w", buffering=1, encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False
        )


if __name__ == "__main__":
    main()
