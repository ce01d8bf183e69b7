"""`ece wallets`: the keys of the platform, and what a message says."""

import json
import sys
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from chain.wallets.cipher import CannotDecrypt
from chain.wallets.decoded import DecodedMessage, NotAMessage, decoded, message_bytes
from chain.wallets.key_files import UnusableKey
from chain.wallets.platform_keys import PlatformKeys
from ece.failure import Failure
from ece.key_sources import key_sources
from ece.settings import Settings, load_settings

PAGE = 500
FEE_PAYERS_SHOWN = 4

Result = TypeVar("Result")
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]

wallets = typer.Typer(
    no_args_is_help=True,
    help="Keys of the chain and of users' wallets.\n\nBegin with: scripts/ece wallets addresses",
)


@wallets.command()
def addresses(as_json: AsJson = False) -> None:
    """Show the addresses of the platform's keys, and where each key comes from.

    authority mints, vault holds listed cards, treasury holds the money of users,
    the fee payers pay fees. A key that is missing is made.

    Example: scripts/ece wallets addresses
    """
    named = {name: str(address) for name, address in _platform(load_settings()).addresses().items()}
    if as_json:
        sys.stdout.write(json.dumps(named) + "\n")
        return
    out = Console(highlight=False)
    for name, address in named.items():
        out.print(f"{name:<12} {address}")


@wallets.command()
def decode(
    file: Annotated[str, typer.Argument(help="A file with the message in base64; - is stdin.")], as_json: AsJson = False
) -> None:
    """Show what a transaction, or its message, says: what would be signed.

    Nothing is signed or sent. Addresses of this engine are shown with their names.

    Example: scripts/ece wallets decode message.txt
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        names = {str(address): name for name, address in _platform(load_settings()).addresses().items()}
        found = decoded(message_bytes(text), names)
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{file} can't be read: {error}") from error
    except NotAMessage as error:
        raise Failure(f"{file}: {error}.") from error
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        _print_message(Console(highlight=False), found)


def _platform(settings: Settings) -> PlatformKeys:
    with _unusable():
        keys = PlatformKeys(key_sources(settings))
        given = len(key_sources(settings).fee_payers) or FEE_PAYERS_SHOWN
        for index in range(given):
            keys.fee_payer(index)
    return keys


class _unusable:
    """Turns the errors of keys into failures."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, UnusableKey | CannotDecrypt | ValueError):
            raise Failure(f"The keys can't be used: {error}") from error


def _print_message(out: Console, message: DecodedMessage) -> None:
    out.print(f"Message {message.version}, {message.size:,} bytes, blockhash {message.blockhash}")
    out.print(f"  fees     {escape(message.signers[0])}", soft_wrap=True)
    for signer in message.signers[1:]:
        out.print(f"  signer   {escape(signer)}", soft_wrap=True)
    for table in message.lookup_tables:
        out.print(f"  table    {table}", soft_wrap=True)
    for number, one in enumerate(message.instructions, 1):
        what = one.name or f"data {one.data[:64]}"
        out.print(f"{number:>3}. {escape(one.program)}: {escape(what)} {escape(one.detail or '')}", soft_wrap=True)
        for account in one.accounts:
            out.print(f"       {escape(account)}", soft_wrap=True)
