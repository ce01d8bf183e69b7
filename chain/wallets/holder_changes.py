"""Who has got an asset, as the chain tells it: one subscription to the program of a standard, however many assets."""

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from solders.pubkey import Pubkey

from chain.rpc.notices import Missed
from chain.rpc.subscriptions import Subscriptions
from chain.standards.registry import STANDARDS
from chain.standards.standard import Standard


class HolderChange(msgspec.Struct, frozen=True):
    """A wallet has this asset as of a final slot. It may be any asset of the standard, also one of others."""

    asset: str
    holder: str
    slot: int


class HolderChanges:
    """``async for change in changes``, until it is closed. Changes may be missing, as after a lost connection."""

    def __init__(self, subscriptions: Subscriptions, standard: str) -> None:
        """Raises ChainUnavailable if there are too many subscriptions."""
        self._standard = STANDARDS[standard]
        self._subscription = subscriptions.program(
            self._standard.program, self._standard.holder_filters, "finalized", (0, self._standard.holder_bytes)
        )

    async def __aiter__(self) -> AsyncIterator[HolderChange]:
        async for notice in self._subscription:
            if isinstance(notice, Missed) or notice.slot is None:
                continue
            found = _held(self._standard, notice.value)
            if found is not None:
                yield HolderChange(str(found[0]), str(found[1]), notice.slot)

    def close(self) -> None:
        """End it."""
        self._subscription.close()


def _held(standard: Standard, value: Any) -> tuple[Pubkey, Pubkey] | None:
    """None also for what can't be read: whoever reads the accounts in turn finds it."""
    try:
        data = base64.b64decode(value["account"]["data"][0], validate=True)
        return standard.holder_in(Pubkey.from_string(value["pubkey"]), data)
    except (LookupError, TypeError, ValueError, binascii.Error):
        return None
