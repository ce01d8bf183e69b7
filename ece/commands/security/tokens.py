"""`ece tokens`: the keys that sign access tokens, and their rotation."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from chain.wallets.cipher import CannotDecrypt
from chain.wallets.key_files import UnusableKey
from ece.engine.running import database_of
from ece.failure import Failure
from ece.processes.data_keys import opened_keys
from ece.settings import Settings, load_settings
from gateway.identity.signing_keys import PUBLISHED_AHEAD_MS, REFRESH_EVERY_S, SigningKeys
from persistence.identity.signing_keys import SigningKeyStore, StoredKey
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import Pool, close_pool, open_pool

Result = TypeVar("Result")

tokens = typer.Typer(
    no_args_is_help=True, help="The keys that sign access tokens.\n\nBegin with: scripts/ece tokens keys"
)


@tokens.command()
def keys(as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False) -> None:
    """Show the keys: which one signs, which one is next, which ones have retired.

    Gateways publish all of them as /.well-known/jwks.json.

    Example: scripts/ece tokens keys
    """
    found = _run(load_settings(), lambda pool: SigningKeyStore(pool).all())
    if as_json:
        sys.stdout.write(json.dumps([_described(key) for key in found]) + "\n")
        return
    out = Console(highlight=False)
    for key in found:
        out.print(f"{key.kid}  {_state(key, _now_ms()):<8}  since {_utc(key.signs_from)}")


@tokens.command()
def rotate(
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Remove all other keys: for a key that was stolen.")
    ] = False,
) -> None:
    """Add a new key. It is published for ten minutes before it signs.

    Nobody is logged out: the old key stays public until its tokens have expired.
    With --at-once the new key signs immediately and all others are removed: every
    access token is refused, and clients get new ones with their refresh tokens.

    Gateways also rotate by themselves: see ECE_SIGNING_KEY_ROTATION_S.

    Example: scripts/ece tokens rotate
    """
    settings = load_settings()

    async def rotated(pool: Pool) -> str:
        data_keys = await opened_keys(settings, pool, _now_ms)
        signing = SigningKeys(SigningKeyStore(pool), data_keys.cipher, _now_ms)
        if at_once:
            return f"{(await signing.replace()).kid} is the only key; gateways know it within {REFRESH_EVERY_S:g} s."
        await signing.load()
        added = await signing.rotate()
        if added is None:
            raise Failure("Another process has just added a key: see `ece tokens keys`.")
        return f"{added.kid} is published, and signs in {PUBLISHED_AHEAD_MS // 60_000} minutes."

    Console(highlight=False, soft_wrap=True).print(f"[green]✓[/] {_run(settings, rotated)}")


def _run(settings: Settings, work: Callable[[Pool], Awaitable[Result]]) -> Result:
    async def on_database() -> Result:
        async with database_of(settings, Console(stderr=True, highlight=False)) as database_url:
            pool = await open_pool(database_url, size_max=1)
            try:
                return await work(pool)
            finally:
                await close_pool(pool)

    try:
        return asyncio.run(on_database())
    except (StoreError, UnusableKey, CannotDecrypt) as error:
        raise Failure(f"The signing keys can't be used: {error}") from error


def _described(key: StoredKey) -> dict[str, object]:
    return {"kid": key.kid, "state": _state(key, _now_ms()), "signs_from": key.signs_from, "retired_at": key.retired_at}


def _state(key: StoredKey, now_ms: int) -> str:
    if key.retired_at is not None and key.retired_at <= now_ms:
        return "retired"
    return "signs" if key.signs_from <= now_ms else "next"


def _utc(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_ms // 1000))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
