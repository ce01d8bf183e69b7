"""Keeps the fee payer of an actor in funds, or says that it needs some."""

import structlog
from solders.pubkey import Pubkey

from actors.minting.chain_access import asking
from chain.rpc.client import ChainRpc

log = structlog.get_logger()

LAMPORTS_PER_SOL = 1_000_000_000
# Minting a card costs about 0.004 SOL, nearly all of it the rent of its accounts.
LOW_LAMPORTS = LAMPORTS_PER_SOL // 2
# Of a local chain, where it costs nothing: enough for 100,000 cards.
TOP_UP_BELOW, TOP_UP_LAMPORTS = 200 * LAMPORTS_PER_SOL, 1_000 * LAMPORTS_PER_SOL


class FeePayer:
    """``balance`` is that of the last look; None before it."""

    def __init__(self, rpc: ChainRpc, address: Pubkey, *, faucet: bool) -> None:
        """``faucet``: the chain is a local one, which gives SOL away."""
        self._rpc = rpc
        self.address = address
        self._faucet = faucet
        self.balance: int | None = None

    async def look(self) -> str | None:
        """Look at the balance, and top it up where there is a faucet: why nothing can be paid, or None.

        Raises ChainFault.
        """
        async with asking():
            self.balance = await self._rpc.balance(self.address)
            if self._faucet and self.balance < TOP_UP_BELOW:
                await self._rpc.request_airdrop(self.address, TOP_UP_LAMPORTS)
                log.info("fee_payer_topped_up", address=str(self.address))
                return None if self.balance >= LOW_LAMPORTS else "the fee payer waits for its first funds"
        if self.balance >= LOW_LAMPORTS:
            return None
        sol = self.balance / LAMPORTS_PER_SOL
        log.warning("fee_payer_low", address=str(self.address), sol=sol, next_step="send SOL to this address")
        return f"the fee payer {self.address} has {sol:.4f} SOL: send it some"
