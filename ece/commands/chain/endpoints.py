"""Which chain the commands ask: that of the engine that runs on the data directory, or else of the settings."""

from ece.data_dir import DataDir, RunState
from ece.failure import Failure
from ece.settings import Settings


def rpc_urls_of(settings: Settings) -> list[str]:
    """Its RPC servers. Raises Failure if there are none."""
    running = _running(settings)
    urls = settings.rpc_urls if running is None else running.rpc_urls
    if not urls:
        raise Failure("This engine has no chain: ECE_SOLANA_RPC_URL is none, or no engine runs.")
    return urls


def usdc_mint_of(settings: Settings) -> str | None:
    """The address of its mint of USDC; None if there is none."""
    running = _running(settings)
    return settings.usdc_mint if running is None else running.usdc_mint


def _running(settings: Settings) -> RunState | None:
    data_dir = DataDir(settings.data_dir)
    return data_dir.read_state() if data_dir.is_locked() else None
