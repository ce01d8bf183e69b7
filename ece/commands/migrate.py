"""`ece migrate`: the database schema, brought up to date by hand."""

import asyncio

from rich.console import Console

from ece.data_dir import DataDir
from ece.settings import load_settings
from ece.supervisor.supervisor import migrated


def migrate() -> None:
    """Bring the database schema up to date.

    `ece up` does this by itself. Use it before a new version meets an external database (ECE_DATABASE_URL);
    without that it works on the engine that runs on this data directory. It only ever goes forward, and two at
    once wait for each other.

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
