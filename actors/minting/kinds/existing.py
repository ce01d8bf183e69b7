"""Whether what a job creates or moves is on the chain already, from an earlier transaction of it."""

from collections.abc import Sequence
from enum import Enum

from solders.pubkey import Pubkey

from actors.minting.chain_access import asking
from chain.rpc.answers import AccountState
from chain.rpc.client import ChainRpc
from chain.standards.standard import Standard

# What is in a block becomes final, or goes, within this time.
UNTIL_FINAL_MS = 5_000


class Existence(Enum):
    """``NEWLY``: in a block that can still be rolled back. ``PAID``: only SOL is there, which anybody can send."""

    NO = "no"
    PAID = "paid"
    NEWLY = "newly"
    FOR_GOOD = "for good"


async def existing(rpc: ChainRpc, addresses: Sequence[Pubkey]) -> tuple[list[Existence], int]:
    """Of each account, and the slot as of which that is final. Raises ChainFault.

    Only the creation of an account gives it data.
    """
    if not addresses:
        return [], 0
    async with asking():
        # The final state last: an account that is final is in the newer state, too.
        newest = await rpc.accounts(addresses, data_slice=(0, 1))
        final = await rpc.accounts(addresses, commitment="finalized", data_slice=(0, 1))
    found = [_existence(now, for_good) for now, for_good in zip(newest.accounts, final.accounts, strict=True)]
    return found, final.slot


def _existence(now: AccountState | None, for_good: AccountState | None) -> Existence:
    if for_good is not None and for_good.data:
        return Existence.FOR_GOOD
    if now is None:
        return Existence.NO
    return Existence.NEWLY if now.data else Existence.PAID


async def arrived(rpc: ChainRpc, moves: Sequence[tuple[Standard, Pubkey, Pubkey]]) -> list[int | None]:
    """For each (standard, asset, destination): the slot as of which the destination has it for good; None: it has not.

    Raises ChainFault.
    """
    if not moves:
        return []
    addresses = [standard.holding_address(asset, destination) for standard, asset, destination in moves]
    async with asking():
        found = await rpc.accounts(addresses, commitment="finalized")
    return [
        found.slot if account is not None and standard.holds(account.data, asset, destination) else None
        for account, (standard, asset, destination) in zip(found.accounts, moves, strict=True)
    ]
