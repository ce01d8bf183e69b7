"""`python -m ece.processes.chain`: the local chain, a Solana RPC server for this machine.

WebSockets are served on the port of HTTP and, because web3.js 1.x looks for them there, on the next one, too.
"""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
import uvicorn
import uvloop

from chain.local.errors import StartFailed
from chain.local.faults import NO_FAULTS, faults_of
from chain.local.node import Node, NodeConfig
from chain.local.programs import METAPLEX_CORE
from chain.local.server.application import Application
from ece.data_dir import DataDir
from ece.logs import configure_logs
from ece.processes.gc_tuning import tune_gc
from ece.settings import Settings, load_settings

log = structlog.get_logger()

HOST = "127.0.0.1"
GRACE_S = 1
# Longer than clients keep connections for: the one that closes first should be the client.
KEEP_ALIVE_S = 75
CONNECTIONS_MAX = 2_000
FRAME_BYTES_MAX = 64 * 1024
WEBSOCKET_PING_S = 20.0
BACKLOG = 1024


class ChainServer(uvicorn.Server):
    """Tells the supervisor when clients can come. Signals end the server; the process goes on and writes its state."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(json.dumps({"listening": True}) + "\n")
        sys.stdout.flush()


def node_config(settings: Settings) -> NodeConfig:
    """The node that the settings describe."""
    programs = {} if settings.mpl_core_so is None else {METAPLEX_CORE: settings.mpl_core_so}
    faults = NO_FAULTS if settings.chain_faults is None else faults_of(settings.chain_faults)
    return NodeConfig(DataDir(settings.data_dir).chain, settings.chain_slot_ms, faults, programs)


async def serve(node: Node, port: int) -> None:
    """Serve an open node until SIGTERM. Raises StartFailed when the state can't be written any more."""
    server = ChainServer(server_config(node))
    with listener(port) as http:
        sockets = [http]
        with suppress(OSError):  # what is next to it may be taken: only web3.js 1.x misses it
            sockets.append(listener(port + 1))
        await node.start()
        assert node.failed is not None
        node.failed.add_done_callback(lambda _: setattr(server, "should_exit", True))
        try:
            await server.serve(sockets)
        finally:
            await node.stop()
            for one in sockets:
                one.close()
    if node.failed.done():
        raise StartFailed(f"the state can't be written: {node.failed.result()}")


def server_config(node: Node) -> uvicorn.Config:
    return uvicorn.Config(
        Application(node),
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=FRAME_BYTES_MAX,
        ws_per_message_deflate=False,
        ws_ping_interval=WEBSOCKET_PING_S,
        ws_ping_timeout=WEBSOCKET_PING_S,
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def listener(port: int) -> socket.socket:
    """Loopback only. Raises OSError."""
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((HOST, port))
        one.listen(BACKLOG)
    except OSError:
        one.close()
        raise
    return one


def main() -> int:
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    node = Node(node_config(settings))
    try:
        node.open()
        tune_gc()
        assert settings.chain_port is not None, "the supervisor sets it"
        uvloop.run(serve(node, settings.chain_port))
    except (StartFailed, OSError) as error:
        log.error("chain_failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
