"""`ece roles`: who may do what."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from getpass import getuser
from typing import Annotated, Literal, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from domain.permissions import permissions_of
from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import load_settings
from persistence.audit.trail import ORIGIN, Origin
from persistence.identity.roles import LastAdmin, RoleStore, Standing
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

LISTED_MAX = 1_000

Result = TypeVar("Result")

roles = typer.Typer(
    no_args_is_help=True,
    help="Roles of users. `admin` may do everything, `moderator` decides disputes and suspends users, `quota_exempt` "
    "has no rate limits and no quotas of sellers (ECE_SELLER_…). New users have the roles of ECE_NEW_USER_ROLES.\n\n"
    "Begin with: scripts/ece roles grant NAME admin",
)

Name = Annotated[str, typer.Argument(help="The username.")]
# domain.permissions.GRANTABLE; a test compares.
RoleName = Literal["collector", "seller", "minter", "moderator", "admin", "quota_exempt"]
Role = Annotated[RoleName, typer.Argument(help="Which role.")]


@roles.command()
def grant(name: Name, role: Role) -> None:
    """Grant a role to a user.

    It is in the user's next access token. Tokens from before are not accepted any more.

    Examples:

      scripts/ece roles grant ann admin

      scripts/ece roles grant shop quota_exempt
    """
    user = _run(lambda store: _changed(store, name, role, store.grant))
    Console(highlight=False).print(f"[green]✓[/] {escape(user.username)} has the role {role} from the next token on.")


@roles.command()
def revoke(name: Name, role: Role) -> None:
    """Revoke a role from a user, within a second. The last admin stays one."""
    user = _run(lambda store: _changed(store, name, role, store.revoke))
    Console(highlight=False).print(f"[green]✓[/] {escape(user.username)} no longer has the role {role}.")


@roles.command()
def show(name: Name) -> None:
    """Show the roles of a user, and what they permit."""
    user = _run(lambda store: _known(store, name))
    out = Console(highlight=False)
    out.print(f"{escape(user.username)}: {', '.join(sorted(user.granted)) or 'no roles'}")
    if user.reason is not None:
        out.print(f"[yellow]Suspended[/]: {escape(user.reason)}")
    out.print("May: " + (", ".join(sorted(permissions_of(frozenset(user.granted)))) or "nothing"))


@roles.command("list")
def list_users(
    role: Annotated[RoleName, typer.Argument(help="Which role.")] = "admin",
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array of names on stdout.")] = False,
) -> None:
    """List the users with a role."""
    names = _run(lambda store: store.with_role(role, LISTED_MAX))
    if as_json:
        sys.stdout.write(json.dumps(names) + "\n")
        return
    out = Console(highlight=False)
    for name in names:
        out.print(escape(name))
    if not names:
        out.print(f"Nobody has the role {role}. Give it: scripts/ece roles grant NAME {role}")


async def _known(store: RoleStore, name: str) -> Standing:
    user = await store.of(name)
    if user is None:
        raise Failure(f"There is no user {name}. A user has to register first: POST /api/v1/auth/register")
    return user


async def _changed(store: RoleStore, name: str, role: str, change: Callable[[int, str], Awaitable[None]]) -> Standing:
    user = await _known(store, name)
    await change(user.user_id, role)
    return user


def _run(work: Callable[[RoleStore], Awaitable[Result]]) -> Result:
    async def on_database() -> Result:
        async with database_of(load_settings(), Console(stderr=True, highlight=False)) as database_url:
            pool = await open_pool(database_url, size_max=1)
            try:
                ORIGIN.set(Origin(actor=f"command line: {getuser()}"))
                return await work(RoleStore(pool))
            finally:
                await close_pool(pool)

    try:
        return asyncio.run(on_database())
    except LastAdmin as error:
        raise Failure(f"Nothing was changed: {error}") from error
    except StoreError as error:
        raise Failure(f"The users can't be read: {error}") from error
