"""The stage of `ece chaos` for tests: with accounts made in the engine's database, and shorter ways to wait."""

from collections.abc import Callable

from bench.faults import waiting
from bench.faults.scene import DAY_MS, STEP_DEADLINE_S
from bench.faults.scene import Scene as AnyScene
from chain.wallets.key_files import WalletSecrets
from ece.engine.accounts import ProvisionedAccounts

__all__ = ["DAY_MS", "STEP_DEADLINE_S", "Scene", "until"]


async def until(condition: Callable[[], object], what: str, within_s: float = STEP_DEADLINE_S) -> None:
    """Wait for a condition, which may have to be awaited; fail, naming it, when the time is up."""
    await waiting.until(condition, what, within_s)


class Scene(AnyScene):
    """Use with `async with`; everything recorded is in `recording`."""

    def __init__(
        self, base_url: str, database_url: str, key_secrets: WalletSecrets, *, auctions: int = 3, bidders: int = 8
    ) -> None:
        accounts = ProvisionedAccounts(database_url, key_secrets)
        super().__init__(base_url, database_url, accounts, auctions=auctions, bidders=bidders)
