"""The data keys of a process."""

from collections.abc import Callable

from actors.data_keys import DataKeys
from chain.wallets.envelope import EnvelopeCipher
from ece.key_sources import wallet_secrets
from ece.settings import Settings
from persistence.keys.data_keys import DataKeyRows
from persistence.postgres.pool import Pool


async def opened_keys(settings: Settings, pool: Pool, now_ms: Callable[[], int]) -> DataKeys:
    """The data keys, loaded. Raises UnusableKey, CannotDecrypt, StoreUnavailable."""
    keys = DataKeys(DataKeyRows(pool), EnvelopeCipher(wallet_secrets(settings), now_ms), now_ms)
    await keys.open()
    return keys
