"""What the routes about copies, listings and sales work with."""

from dataclasses import dataclass

from persistence.sales.copies import Copies
from persistence.sales.listings import Listings
from persistence.sales.second_chances import SecondChances
from persistence.sales.seller_tiers import SellerTiers
from persistence.sales.settlement import Settlements


@dataclass(frozen=True)
class Sales:
    """Copies, the auctions that they are locked for, and what became of those."""

    copies: Copies
    listings: Listings
    settlements: Settlements
    second_chances: SecondChances
    tiers: SellerTiers
