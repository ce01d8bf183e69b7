"""`ece operator`: the roles of users."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import load_settings
from gateway.rest.callers import OPERATOR
from persistence.identity.store import User, UserStore
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

LISTED_MAX = 1_000

Result = TypeVar("Result")

operator = typer.Typer(
    no_args_is_help=True,
    help="Roles of users. `operator`: may close auctions, cancel sales, approve withdrawals, write the catalog. "
    "`quota_exempt`: a seller without quotas (ECE_SELLER_…).\n\n"
    "Begin with: scripts/ece operator add NAME",
)

Name = Annotated[str, typer.Argument(help="The username.")]
Role = Annotated[Literal["operator", "quota_exempt"], typer.Option(help="Which role.")]


@operator.command()
def add(name: Name, role: Role = OPERATOR) -> None:
    """Grant a role to a user.

    It takes effect at the user's next log-in or refresh: within
    ECE_ACCESS_TOKEN_TTL_S.

    Examples:

      scripts/ece operator add ann

      scripts/ece operator add --role quota_exempt shop
    """
    user = _run(lambda users: _changed(users, name, role, users.grant))
    Console(highlight=False).print(
        f"[green]✓[/] {escape(user.username)} has the role {role} from their next log-in on."
    )


@operator.command()
def remove(name: Name, role: Role = OPERATOR) -> None:
    """Revoke a role from a user.

    Access tokens that the user has stay valid until they expire: within
    ECE_ACCESS_TOKEN_TTL_S.
    """
    user = _run(lambda users: _changed(users, name, role, users.revoke))
    Console(highlight=False).print(f"[green]✓[/] {escape(user.username)} no longer has the role {role}.")


@operator.command("list")
def list_operators(
    role: Role = OPERATOR,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array of names on stdout.")] = False,
) -> None:
    """List the users with a role."""
    found = _run(lambda users: users.with_role(role, LISTED_MAX))
    names = [user.username for user in found]
    if as_json:
        sys.stdout.write(json.dumps(names) + "\n")
        return
    out = Console(highlight=False)
    for name in names:
        out.print(escape(name))
    if not names:
        out.print(f"Nobody has the role {role}. Give it: scripts/ece operator add --role {role} NAME")


async def _changed(users: UserStore, name: str, role: str, change: Callable[[int, str], Awaitable[None]]) -> User:
    user = await users.by_login(name)
    if user is None:
        raise Failure(f"There is no user {name}. A user has to register first: POST /api/v1/auth/register")
    await change(user.user_id, role)
    return user


def _run(work: Callable[[UserStore], Awaitable[Result]]) -> Result:
    async def on_database() -> Result:
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
