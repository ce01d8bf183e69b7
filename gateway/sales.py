"""What the routes about copies, listings and sales work with."""

from dataclasses import dataclass

from persistence.copies import Copies
from persistence.listings import Listings
from persistence.second_chances import SecondChances
from persistence.seller_tiers import SellerTiers
from persistence.settlement import Settlements


@dataclass(frozen=True)
class Sales:
    """Copies, the auctions that they are locked for, and what became of those."""

    copies: Copies
    listings: Listings
    settlements: Settlements
    second_chances: SecondChances
    tiers: SellerTiers
