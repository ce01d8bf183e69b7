"""What the settings of all processes need to know of the embedded chain: its URL, and the mint of its USDC."""

import socket
from contextlib import closing, suppress
from urllib.parse import urlsplit

from pydantic import SecretStr

from chain.local.errors import StartFailed
from chain.local.state.keys import local_keys
from ece.data_dir import DataDir
from ece.failure import Failure
from ece.settings import NO_CHAIN, Settings
from ece.supervisor.port import free_port

HOST = "127.0.0.1"
PORT = 8899
PORT_FILE = "port"


def with_embedded_chain(settings: Settings, data_dir: DataDir) -> Settings:
    """Its port stays the same for a data directory, because clients have its URL. Raises Failure."""
    try:
        keys = local_keys(data_dir.chain)
        port = settings.chain_port or _kept_port(data_dir)
    except (StartFailed, OSError) as error:
        raise Failure(f"The chain can't be used: {error}.") from error
    if not is_free(port):
        raise Failure(f"Port {port} on {HOST} is taken. Stop that process, or set ECE_CHAIN_PORT to another one.")
    return settings.changed(
        solana_rpc_url=SecretStr(f"http://{HOST}:{port}"),
        chain_port=port,
        usdc_mint=settings.usdc_mint or str(keys.usdc_mint.pubkey()),
    )


def shown_urls(settings: Settings) -> str:
    """Where the chain is, for people."""
    return ", ".join(shown_url(url) for url in settings.rpc_urls) or NO_CHAIN


def shown_url(url: str) -> str:
    """Scheme and host alone: providers put keys into paths and parameters."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of the loopback address now."""
    with closing(socket.socket(socket.AF_INET)) as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        return True
    return False


def _kept_port(data_dir: DataDir) -> int:
    """The port of the last time if it is still free; else the usual one, or any with a free one next to it."""
    path = data_dir.chain / PORT_FILE
    with suppress(OSError, ValueError):
        kept = int(path.read_text())
        if is_free(kept):
            return kept
    port = PORT if is_free(PORT) and is_free(PORT + 1) else free_port(HOST)
    path.write_text(f"{port}\n")
    return port
