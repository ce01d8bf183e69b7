"""`ece migrate`: applies schema migrations."""

import asyncio

from rich.console import Console

from ece.data_dir import DataDir
from ece.settings import load_settings
from ece.supervisor.supervisor import migrated


def migrate() -> None:
    """Apply the pending schema migrations.

    `ece up` does this at its start. Use this command before a new version is
    started on an external database (ECE_DATABASE_URL); without that it migrates
    the database of the engine that runs on this data directory. Migrations are
    forward only. If two processes migrate at once, one waits for the other.

    Example: ECE_DATABASE_URL=postgresql://ece:…@db/ece scripts/ece migrate
    """
    settings = load_settings()
    state = DataDir(settings.data_dir).read_state()
    if settings.database_url is None and state is not None:
        settings = load_settings(database_url=state.database_url)
    applied = asyncio.run(migrated(settings))
    console = Console(highlight=False, soft_wrap=True)
    for name in applied:
        console.print(f"applied {name}", markup=False)
    if not applied:
        console.print("The schema is up to date.")
