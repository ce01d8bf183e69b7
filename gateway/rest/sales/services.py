"""The stores of the routes about copies, listings and sales."""

from dataclasses import dataclass

from persistence.sales.copies import Copies
from persistence.sales.listing_costs import SellerCosts
from persistence.sales.listings import Listings
from persistence.sales.second_chances import SecondChances
from persistence.sales.seller_tiers import SellerTiers
from persistence.sales.settlement import Settlements


@dataclass(frozen=True)
class Sales:
    """Copies, listings, settlements, second chances, and what a sale costs."""

    copies: Copies
    listings: Listings
    settlements: Settlements
    second_chances: SecondChances
    tiers: SellerTiers
    costs: SellerCosts
