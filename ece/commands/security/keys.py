"""`ece keys`: the keys that encrypt secrets at rest, and their rotation."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from actors.clock import Clock
from actors.data_keys import ACTIVATION_MS
from chain.wallets.cipher import CannotDecrypt
from chain.wallets.envelope import EnvelopeCipher
from chain.wallets.key_files import UnusableKey
from chain.wallets.rotation import add_secret, drop_secrets
from domain.data_keys import VALUES, WrappedKey, newest_usable
from ece.engine.running import database_of
from ece.failure import Failure
from ece.key_rotation import PAGE, counts_by_key, encrypt_again
from ece.key_sources import wallet_secrets
from ece.settings import Settings, load_settings
from gateway.identity.emails import EmailEncryption
from persistence.accounts.exports import Exports
from persistence.identity.emails import ALL_ADDRESSES, EmailForms
from persistence.keys.data_keys import DataKeyRows
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import Pool, close_pool, open_pool

# A key that was succeeded so long ago (ms) is used by no process any more.
RETIRED_AFTER_MS = 3_600_000
CLOCK_SLACK_S = 0.05

Result = TypeVar("Result")
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]

keys = typer.Typer(
    no_args_is_help=True,
    help=(
        "Keys that encrypt secrets at rest.\n\nData keys, in the database, encrypt values: keys of custodial wallets, "
        "second factors, e-mail addresses, exports. A master key, from secrets/wallets or ECE_WALLET_KEY, encrypts "
        "the data keys.\n\nBegin with: scripts/ece keys status"
    ),
)


class KeyStatus(msgspec.Struct, frozen=True):
    """One key: ``kind`` is ``data``, ``email index`` or ``master``; ``uses`` counts by what it encrypts."""

    key_id: str
    kind: str
    state: str
    uses: dict[str, int]


@keys.command()
def status(as_json: AsJson = False) -> None:
    """Show every key, what it encrypts, and what still uses an old one.

    current encrypts what is new; old has values that `ece keys rotate` encrypts
    again; unused can be removed by `ece keys retire`; lost can't be unwrapped.

    Example: scripts/ece keys status
    """
    found = _on_database(_status)
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    out = Console(highlight=False)
    for key in found:
        uses = ", ".join(f"{count:,} {name}" for name, count in key.uses.items()) or "nothing"
        out.print(f"{key.key_id:<22} {key.kind:<12} {key.state:<8} {uses}", soft_wrap=True)


@keys.command()
def rotate() -> None:
    """Make a new data key and encrypt every value again with it, page by page.

    The engine may run: it begins to use the new key 30 s after it was made. The
    command can be ended at any time; the next one finishes what is left before a
    further key is made. Run it regularly, and after a data key may have leaked.

    Example: scripts/ece keys rotate
    """
    key_id, count = _on_database(_rotated)
    _done(f"{count:,} values are encrypted again; all have the key {key_id}.")


@keys.command()
def rewrap() -> None:
    """Encrypt the data keys with a new master key. Takes a moment: no value changes.

    The new secret becomes the first line of secrets/wallets; copy the file to every
    machine. With ECE_WALLET_KEY, put the new secret first yourself (new,old), restart
    the engine, and then run this. Afterwards: `ece keys retire`.

    Example: scripts/ece keys rewrap
    """
    master, count = _on_database(_rewrapped)
    _done(f"{count} data keys are wrapped by the master key {master}. Older secrets stay until `ece keys retire`.")


@keys.command()
def retire() -> None:
    """Remove keys that nothing needs: old data keys, and older master secrets.

    Keep a back-up of a removed secret as long as you keep back-ups of the database
    from before.

    Example: scripts/ece keys retire
    """
    removed, secrets = _on_database(_retired)
    _done(f"{removed} data keys and {secrets} secrets are removed.")
    if load_settings().wallet_key is not None:
        _done("Nothing needs the older secrets: leave only the first one in ECE_WALLET_KEY.")


@keys.command()
def emails() -> None:
    """Encrypt all stored e-mail addresses, or decrypt them, as ECE_ENCRYPT_EMAILS says.

    First restart the engine with the setting. Can be ended and repeated at any time.
    Exports that wait for their download in clear are made again, encrypted.

    Example: scripts/ece keys emails
    """
    count, exports = _on_database(_emails_changed)
    _done(f"{count:,} addresses are {'encrypted' if load_settings().encrypt_emails else 'stored as they are'} now.")
    if exports:
        _done(f"{exports:,} exports are being made again, encrypted.")


Opened = tuple[Settings, Pool, EnvelopeCipher]


async def _status(opened: Opened) -> list[KeyStatus]:
    _, pool, cipher = opened
    rows, uses = await DataKeyRows(pool).all(), _by_key(await counts_by_key(pool))
    lost, newest = set(cipher.install(rows)), newest_usable(rows, Clock().now_ms())
    data = [
        KeyStatus(row.key_id, _kind(row), _state(row, lost, newest, uses), uses.pop(row.key_id, {})) for row in rows
    ]
    masters: dict[str, dict[str, int]] = {cipher.master_id: {}}
    for row in rows:
        counts = masters.setdefault(row.master_id, {})
        counts["data keys"] = counts.get("data keys", 0) + 1
    for key_id, direct in uses.items():
        masters.setdefault(key_id, {}).update(direct)
    for key_id in cipher.known_masters():
        masters.setdefault(key_id, {})
    return data + [
        KeyStatus(key_id, "master", _master_state(key_id, its, cipher), its) for key_id, its in masters.items()
    ]


def _by_key(counts: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """The same, by key and kind."""
    found: dict[str, dict[str, int]] = {}
    for kind, its in counts.items():
        for key_id, count in its.items():
            found.setdefault(key_id, {})[kind] = count
    return found


def _kind(row: WrappedKey) -> str:
    return "data" if row.purpose == VALUES else "email index"


def _state(row: WrappedKey, lost: set[str], newest: WrappedKey | None, uses: dict[str, dict[str, int]]) -> str:
    if row.key_id in lost:
        return "lost"
    if row.purpose != VALUES or row == newest:
        return "current"
    if newest is not None and row.usable_from > newest.usable_from:
        return "new"
    return "old" if row.key_id in uses else "unused"


def _master_state(key_id: str, uses: dict[str, int], cipher: EnvelopeCipher) -> str:
    if key_id not in cipher.known_masters():
        return "lost"
    if key_id == cipher.master_id:
        return "current"
    return "old" if uses else "unused"


async def _rotated(opened: Opened) -> tuple[str, int]:
    _, pool, cipher = opened
    store = DataKeyRows(pool)
    key = await _unfinished(pool, await store.all())
    if key is None:
        key = cipher.new_data_key(Clock().now_ms() + ACTIVATION_MS)
        await store.add(key)
    columns, out, count = (SpinnerColumn(), TextColumn("{task.description}")), Console(stderr=True), 0
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("waiting until every process has the new key")
        await asyncio.sleep(min(max(0, key.usable_from - Clock().now_ms()), ACTIVATION_MS) / 1000 + CLOCK_SLACK_S)
        cipher.install(await store.all())
        if cipher.key_id != key.key_id:
            raise Failure(f"The key {key.key_id} is not the newest usable one: see `ece keys status`, and try again.")
        async for kind, page in encrypt_again(pool, cipher):
            count += page
            bar.update(task, description=f"{count:,} values, now {kind}")
    return cipher.key_id, count


async def _unfinished(pool: Pool, rows: Sequence[WrappedKey]) -> WrappedKey | None:
    """The key of a rotation that was begun and not finished: the newest, while older ones are in use."""
    values = [row for row in rows if row.purpose == VALUES]
    newest = max(values, key=lambda row: (row.usable_from, row.key_id), default=None)
    in_use = _by_key(await counts_by_key(pool)).keys()
    if newest is None or len(values) == 1 or in_use <= {newest.key_id}:
        return None
    return newest


async def _rewrapped(opened: Opened) -> tuple[str, int]:
    settings, pool, cipher = opened
    store = DataKeyRows(pool)
    rows = await store.all()
    secrets = wallet_secrets(settings)
    if settings.wallet_key is None and all(row.master_id == cipher.master_id for row in rows):
        add_secret(secrets.path)
    # Also where an earlier run died between the file and the database.
    cipher = EnvelopeCipher(secrets, Clock().now_ms)
    changes = [(row, cipher.rewrapped(row)) for row in rows if row.master_id != cipher.master_id]
    await store.rewrap(changes)
    return cipher.master_id, len(changes)


async def _retired(opened: Opened) -> tuple[int, int]:
    settings, pool, cipher = opened
    store, now_ms = DataKeyRows(pool), Clock().now_ms()
    rows, in_use = await store.all(), _by_key(await counts_by_key(pool))
    newest = newest_usable(rows, now_ms - RETIRED_AFTER_MS)
    old = [
        row.key_id for row in rows
        if row.purpose == VALUES and newest is not None and row.usable_from < newest.usable_from
        and row.key_id not in in_use
    ]  # fmt: skip
    await store.delete(old)
    needed = {row.master_id for row in rows if row.key_id not in old} | in_use.keys() - {row.key_id for row in rows}
    if needed - {cipher.master_id}:
        raise Failure(
            "Older secrets are in use: run `ece keys rewrap` and `ece keys rotate` first; see `ece keys status`."
        )
    return len(old), 0 if settings.wallet_key is not None else drop_secrets(wallet_secrets(settings).path)


async def _emails_changed(opened: Opened) -> tuple[int, int]:
    settings, pool, cipher = opened
    emails, count = EmailEncryption(cipher, settings.encrypt_emails), 0
    for where in ALL_ADDRESSES:
        forms, after, page = EmailForms(pool, emails, where), where.first_row, PAGE
        while page:
            page, after = await forms.change_page(after, PAGE)
            count += page
    exports, page = 0, PAGE if settings.encrypt_emails else 0
    while page:
        page = await Exports(pool).make_again(PAGE)
        exports += page
    return count, exports


def _on_database(work: Callable[[Opened], Awaitable[Result]]) -> Result:
    """Run it with the settings, a pool, and the keys of the database."""
    settings = load_settings()

    async def opened() -> Result:
        async with database_of(settings, Console(stderr=True, highlight=False)) as database_url:
            pool = await open_pool(database_url, size_max=1)
            try:
                cipher = EnvelopeCipher(wallet_secrets(settings), Clock().now_ms)
                cipher.install(await DataKeyRows(pool).all())
                return await work((settings, pool, cipher))
            finally:
                await close_pool(pool)

    try:
        return asyncio.run(opened())
    except (UnusableKey, CannotDecrypt, ValueError) as error:
        raise Failure(f"The keys can't be used: {error}") from error
    except StoreError as error:
        raise Failure(f"The keys can't be read: {error}") from error


def _done(text: str) -> None:
    Console(highlight=False).print(f"[green]✓[/] {text}", soft_wrap=True)
