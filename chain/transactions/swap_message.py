"""Builds the message of a swap: its legs, under the limits of the chain, with a durable nonce."""

from collections.abc import Sequence
from dataclasses import dataclass

from solders.hash import Hash
from solders.pubkey import Pubkey

from chain.standards.registry import STANDARDS
from chain.transactions.building import Fee
from chain.transactions.cosigned import CosignedMessage, cosigned_message
from chain.transactions.nonce import Nonce, NonceAccount
from chain.transactions.packing import COMPUTE_UNITS_MAX, TooLarge
from chain.transactions.swap import AssetLeg, InvalidSwap, Leg, TokenLeg, swap
from domain.ledger.currencies import USDC
from domain.sales.swaps import CardLeg, SwapLeg

# Of transactions: each holds more than the one before, and fewer wallets sign it.
LOCAL_VERSIONS = (0, 1)
PUBLIC_VERSIONS = (0,)
# The advance of the nonce, and the limit itself.
_OTHER_UNITS = 3_000


@dataclass(frozen=True)
class SwapBuilder:
    """``versions``: those that the chain takes, the first that holds a swap is used."""

    usdc_mint: Pubkey | None
    versions: Sequence[int]

    def message(
        self, payer: Pubkey, owners: tuple[Pubkey, Pubkey], legs: Sequence[SwapLeg], nonce: Nonce, unit_price: int = 0
    ) -> CosignedMessage:
        """What payer, owners and the nonce's authority sign. Raises InvalidSwap, TooLarge."""
        built = [self._leg(leg) for leg in legs]
        for version in self.versions:
            try:
                bundle = swap(payer, owners, built, version)
                fee = Fee(min(bundle.compute_units + _OTHER_UNITS, COMPUTE_UNITS_MAX), unit_price)
                return cosigned_message(payer, [bundle], nonce, fee, version)
            except TooLarge:
                if version == self.versions[-1]:
                    raise
        raise TooLarge("the chain takes no version")

    def check(self, owners: tuple[Pubkey, Pubkey], legs: Sequence[SwapLeg]) -> None:
        """Whether these legs fit into a transaction, whoever pays. Raises InvalidSwap, TooLarge."""
        payer, authority, address = (Pubkey.new_unique() for _ in range(3))
        self.message(payer, owners, legs, Nonce(address, NonceAccount(authority, Hash.default())))

    def _leg(self, leg: SwapLeg) -> Leg:
        giver, taker = Pubkey.from_string(leg.giver), Pubkey.from_string(leg.taker)
        if isinstance(leg, CardLeg):
            collection = None if leg.collection is None else Pubkey.from_string(leg.collection)
            return AssetLeg(STANDARDS[leg.standard], Pubkey.from_string(leg.asset), collection, giver, taker)
        if self.usdc_mint is None:
            raise InvalidSwap("no money moves on this chain")
        return TokenLeg(self.usdc_mint, USDC.decimals, giver, taker, leg.amount)
