"""Forward-only migrations: numbered ``.sql`` files beside this one, each applied once, in one transaction.

The table ``migrations`` keeps each file's SHA-256: a file that was changed after it was applied is an error, and
so is a database that knows migrations which this program does not. Two processes migrating at once wait for each
other on an advisory lock.
"""

import hashlib
from importlib.resources import files

import asyncpg
import msgspec

from persistence.postgres.errors import MigrationError

_LOCK_KEY = 4_537_000
LOCK_WAIT_MS = 60_000
CONNECT_TIMEOUT_S = 30


class Migration(msgspec.Struct, frozen=True):
    """One file: its name orders it."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known_migrations() -> list[Migration]:
    """All migrations of this program, in order."""
    found = [f for f in files(__name__).iterdir() if f.name.endswith(".sql")]
    return [Migration(f.name.removesuffix(".sql"), f.read_text()) for f in sorted(found, key=lambda f: f.name)]


async def migrate(database_url: str, migrations: list[Migration] | None = None) -> list[str]:
    """Bring the database up to date and return the names applied now. Raises MigrationError; then nothing changed."""
    wanted = known_migrations() if migrations is None else migrations
    connection = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}")
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK_KEY)
            await connection.execute("SET LOCAL lock_timeout = 0")
            # The first version of ``ensure_event_partitions`` goes by it.
            await connection.execute("SET LOCAL timezone = 'UTC'")
            return await _apply_missing(connection, wanted)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationError("another process has been migrating this database for a minute; try again") from error
    finally:
        await connection.close(timeout=5)


async def pending_migrations(database_url: str) -> list[str]:
    """The names that ``migrate`` would apply."""
    connection = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)
    try:
        if await connection.fetchval("SELECT to_regclass('migrations')") is None:
            return [m.name for m in known_migrations()]
        applied = {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}
        return [m.name for m in known_migrations() if m.name not in applied]
    finally:
        await connection.close(timeout=5)


async def _apply_missing(connection: asyncpg.Connection, wanted: list[Migration]) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations ("
        "name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    rows = await connection.fetch("SELECT name, checksum FROM migrations ORDER BY name")
    applied = {row["name"]: row["checksum"] for row in rows}
    _check_history(applied, wanted)
    missing = [m for m in wanted if m.name not in applied]
    for migration in missing:
        try:
            await connection.execute(migration.sql)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.SyntaxOrAccessError) as error:
            raise MigrationError(f"migration {migration.name} failed, and nothing was changed: {error}") from error
        await connection.execute(
            "INSERT INTO migrations (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
        )
    return [m.name for m in missing]


def _check_history(applied: dict[str, str], wanted: list[Migration]) -> None:
    by_name = {m.name: m for m in wanted}
    for name, checksum in applied.items():
        if name not in by_name:
            raise MigrationError(f"the database has migration {name}, which this program lacks: use a newer program")
        if by_name[name].checksum != checksum:
            raise MigrationError(f"migration {name} was changed after it was applied; restore the file as it was")
    newest = max(applied, default="")
    late = [m.name for m in wanted if m.name < newest and m.name not in applied]
    if late:
        raise MigrationError(
            f"migration {late[0]} comes before {newest}, which is applied already: give it a new number"
        )
