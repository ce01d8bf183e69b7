"""What operators set for trades."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TradeConditions:
    """``fee_bp`` is the house's share of the money that is paid, in basis points."""

    fee_bp: int = 250
    expiry_min_ms: int = 3_600_000
    open_offers_max: int = 500
    mask_contacts: bool = True
