"""`ece up`: the whole engine on this machine."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ece.data_dir import DataDir, RuntimeDir, with_secrets
from ece.key_sources import check_keys
from ece.settings import Settings, load_settings
from ece.supervisor.port import check_port
from ece.supervisor.supervisor import Supervisor
from ece.supervisor.terminal import Terminal


def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on [ECE_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [ECE_PORT].")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of the data [ECE_DATA_DIR].")] = None,
    brief: Annotated[bool, typer.Option(hidden=True, help="For commands that start an engine.")] = False,
) -> None:
    """Start the whole engine on this machine; Ctrl-C stops it.

    It starts PostgreSQL (the event log), Valkey (publish/subscribe), a local
    Solana chain, Ray (the hosts, which run auctions and trades), the gateway
    (REST and WebSocket) and a worker (background jobs). It restarts a process
    that dies and prints a message. Data are in .ece/, and the next start
    continues with them.

    Examples:

      scripts/up                             everything embedded, on port 8000

      ECE_PORT=9000 scripts/up               on another port

      ECE_DATA_DIR=/srv/ece scripts/up       with another data directory

      ECE_DATABASE_URL=postgresql://ece:…@db/ece scripts/up

      ECE_RAY_ADDRESS=auto scripts/up        hosts on this node's Ray cluster

      ECE_SOLANA_RPC_URL=https://… scripts/up   another Solana cluster

    When it is ready: scripts/ece replay FILE.csv · scripts/ece bench hot ·
    scripts/ece doctor. All settings and messages are explained in
    docs/operations.md.
    """
    given = {"host": host, "port": port, "data_dir": data_dir}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    run_engine(settings, Console(), brief=brief)


def run_engine(settings: Settings, console: Console, *, brief: bool) -> None:
    """Start, supervise and stop the engine. Raises Failure before anything is started if port or data are in use."""
    data_dir = DataDir(settings.data_dir)
    data_dir.create(settings.disk_reserve_bytes)
    with data_dir.locked():
        check_port(settings)
        settings = with_secrets(settings, data_dir)
        check_keys(settings)
        with Terminal(console) as terminal, RuntimeDir(settings) as runtime_dir:
            asyncio.run(Supervisor(settings, data_dir, runtime_dir.path, terminal, brief=brief).run())
