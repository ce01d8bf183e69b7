"""Methods of this server alone, for those who run it: faults and USDC for tests. Loopback only."""

import asyncio
from typing import Any

import msgspec
from solders.pubkey import Pubkey

from chain.local.errors import INVALID_PARAMS, RpcError
from chain.local.faults import Faults
from chain.local.methods.registry import rpc
from chain.local.node import Node

ADVANCE_MAX = 1_000
ADVANCE_WITHIN_S = 20.0


class OperatorMethods:
    def __init__(self, node: Node) -> None:
        self._node = node

    @rpc("ece_airdropUsdc")
    def airdrop_usdc(self, owner: Pubkey, amount: int) -> object:
        """Mint USDC, in base units, for a wallet."""
        if not 0 < amount < 2**63:
            raise RpcError(INVALID_PARAMS, "Invalid params: an amount in base units is expected")
        return str(self._node.airdrop_usdc(owner, amount))

    @rpc("ece_usdcMint")
    def usdc_mint(self) -> object:
        return str(self._node.faucet.usdc_mint)

    @rpc("ece_faults")
    def faults(self) -> object:
        return self._node.faults

    @rpc("ece_setFaults")
    def set_faults(self, changed: dict[str, Any]) -> object:
        """Change these switches, and leave the others."""
        before = msgspec.to_builtins(self._node.faults)
        try:
            self._node.faults = msgspec.convert(before | changed, Faults)
        except msgspec.ValidationError as error:
            raise RpcError(INVALID_PARAMS, f"Invalid params: {error}") from error
        return self._node.faults

    @rpc("ece_rollBack")
    def roll_back(self, slots: int) -> object:
        """Undo the last slots. The signatures of the transactions that are gone."""
        return [str(signature) for signature in self._node.roll_back(slots)]

    @rpc("ece_advance")
    async def advance(self, slots: int) -> object:
        """Produce slots at once, as if their time had passed. The slot that was reached."""
        if not 1 <= slots <= ADVANCE_MAX:
            raise RpcError(INVALID_PARAMS, f"Invalid params: 1 to {ADVANCE_MAX} slots")
        async with asyncio.timeout(ADVANCE_WITHIN_S):
            for _ in range(slots):
                while not self._node.tick():
                    if self._node.faults.stalled:
                        raise RpcError(INVALID_PARAMS, "the chain is stalled")
                    await self._node.on_disk()  # slots are reserved there
        return self._node.blocks.slot
