"""Who has which asset, as of a final slot: a page of assets that have not moved takes one request."""

from collections.abc import Sequence

from solders.pubkey import Pubkey

from chain.rpc.client import ChainRpc
from chain.standards.registry import STANDARDS
from chain.wallets.reads import CardsOnChain

PAGE = 100


class Holdings:
    """Every method may raise ChainError."""

    def __init__(self, rpc: ChainRpc) -> None:
        self._rpc = rpc
        self._cards = CardsOnChain(rpc)

    async def holders(self, held: Sequence[tuple[str, str, str]]) -> list[tuple[str | None, int]]:
        """For each (standard, asset, known holder): the wallet that has it, or None, and as of which slot."""
        found = []
        for first in range(0, len(held), PAGE):
            found += await self._page(held[first : first + PAGE])
        return found

    async def _page(self, held: Sequence[tuple[str, str, str]]) -> list[tuple[str | None, int]]:
        read = [
            (STANDARDS[standard], Pubkey.from_string(asset), Pubkey.from_string(holder))
            for standard, asset, holder in held
        ]
        accounts = await self._rpc.accounts(
            [standard.holding_address(asset, holder) for standard, asset, holder in read], commitment="finalized"
        )
        found: list[tuple[str | None, int]] = [
            (
                str(holder) if account is not None and standard.holds(account.data, asset, holder) else None,
                accounts.slot,
            )
            for (standard, asset, holder), account in zip(read, accounts.accounts, strict=True)
        ]
        moved = [number for number, (holder, _) in enumerate(found) if holder is None]
        if moved:
            for number, now in zip(
                moved, await self._cards.holders([held[number][1] for number in moved]), strict=True
            ):
                found[number] = now
        return found
