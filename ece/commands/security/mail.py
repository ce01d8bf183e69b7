"""`ece mail`: the mails of an engine without an SMTP server."""

import json
import sys
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from actors.workers.mail.mailbox import MAILS_MAX, Mailbox, StoredMail
from ece.data_dir import DataDir
from ece.failure import Failure
from ece.settings import load_settings

To = Annotated[str | None, typer.Option(help="Only mails to this address.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]

mail = typer.Typer(
    help="The mailbox: what the engine would have sent by e-mail.\n\nWithout ECE_SMTP_HOST all mails go there, the "
    f"newest {MAILS_MAX:,} of them. Tokens to verify an address or to reset a password are in their texts.\n\n"
    "Begin with: scripts/ece mail"
)


@mail.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    to: To = None,
    limit: Annotated[int, typer.Option(min=1, max=MAILS_MAX, help="Mails at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List mails, the newest first. The number of a mail is what `ece mail show` takes.

    Example: scripts/ece mail --to ann@example.org
    """
    if context.invoked_subcommand is not None:
        return
    found = list(islice(_mailbox().newest(to), limit))
    if as_json:
        sys.stdout.write(json.dumps({"mails": [msgspec.structs.asdict(one) for one in found]}) + "\n")
        return
    out = Console(highlight=False)
    if not found:
        out.print(_nothing(to))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("N", "Sent (UTC)", "To", "Subject"):
        table.add_column(title, overflow="fold")
    for number, one in enumerate(found, 1):
        table.add_row(str(number), _when(one), escape(one.to), escape(one.subject))
    out.print(table)


@mail.command()
def show(
    number: Annotated[int, typer.Argument(min=1, max=MAILS_MAX, help="1 is the newest.")] = 1,
    to: To = None,
    as_json: AsJson = False,
) -> None:
    """Show one mail with its text: the newest, or the Nth of those that `ece mail` lists with the same --to.

    Example: scripts/ece mail show 1 --to ann@example.org
    """
    one = next(islice(_mailbox().newest(to), number - 1, None), None)
    if one is None:
        raise Failure(f"There is no mail {number}. {_nothing(to)}")
    if as_json:
        sys.stdout.write(json.dumps(msgspec.structs.asdict(one)) + "\n")
        return
    sys.stdout.write(f"To:      {one.to}\nSent:    {_when(one)} UTC\nSubject: {one.subject}\n\n{one.text}")


def _mailbox() -> Mailbox:
    return Mailbox(DataDir(load_settings().data_dir).mail)


def _when(one: StoredMail) -> str:
    return datetime.fromtimestamp(one.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _nothing(to: str | None) -> str:
    settings = load_settings()
    if settings.smtp_host is not None:
        return "Mail goes to the SMTP server (ECE_SMTP_HOST), not to the mailbox."
    whose = "" if to is None else f" to {to}"
    return f"The mailbox of {settings.data_dir} has no mail{whose}."
