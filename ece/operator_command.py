"""`ece operator`: who may decide for others."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from ece.engine import database_of
from ece.failure import Failure
from ece.settings import load_settings
from persistence.errors import StoreError
from persistence.identity import User, UserStore
from persistence.pool import close_pool, open_pool

ROLE = "operator"
LISTED_MAX = 1_000

Came = TypeVar("Came")

operator = typer.Typer(
    no_args_is_help=True,
    help="Operators: they may end auctions, take sales back, approve withdrawals, write the catalog.\n\n"
    "Begin with: scripts/ece operator add NAME",
)

Name = Annotated[str, typer.Argument(help="The username.")]


@operator.command()
def add(name: Name) -> None:
    """Make a user an operator.

    It counts from their next log-in or refresh on, within ECE_ACCESS_TOKEN_TTL_S at the latest.

    Example: scripts/ece operator add ann
    """
    user = _run(lambda users: _changed(users, name, users.grant))
    Console(highlight=False).print(f"[green]✓[/] {escape(user.username)} is an operator, from their next log-in on.")


@operator.command()
def remove(name: Name) -> None:
    """Let a user be an operator no more.

    A token that they have stays good until it runs out, after ECE_ACCESS_TOKEN_TTL_S at the latest.
    """
    user = _run(lambda users: _changed(users, name, users.revoke))
    Console(highlight=False).print(f"[green]✓[/] {escape(user.username)} is no operator any more.")


@operator.command("list")
def list_operators(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array of names on stdout.")] = False,
) -> None:
    """Name all operators."""
    found = _run(lambda users: users.with_role(ROLE, LISTED_MAX))
    names = [user.username for user in found]
    if as_json:
        sys.stdout.write(json.dumps(names) + "\n")
        return
    out = Console(highlight=False)
    for name in names:
        out.print(escape(name))
    if not names:
        out.print("There is no operator. Make one: scripts/ece operator add NAME")


async def _changed(users: UserStore, name: str, change: Callable[[int, str], Awaitable[None]]) -> User:
    user = await users.by_login(name)
    if user is None:
        raise Failure(f"There is no user {name}. They register first: POST /api/v1/auth/register")
    await change(user.user_id, ROLE)
    return user


def _run(work: Callable[[UserStore], Awaitable[Came]]) -> Came:
    async def on_database() -> Came:
        async with database_of(load_settings(), Console(stderr=True, highlight=False)) as database_url:
            pool = await open_pool(database_url, size_max=1)
            try:
                return await work(UserStore(pool))
            finally:
                await close_pool(pool)

    try:
        return asyncio.run(on_database())
    except StoreError as error:
        raise Failure(f"The users can't be read: {error}") from error
