"""Refusals that say what a bid was decided on."""

from domain.entity import Refusal

# Told to the engine alone: it is no client who says that a sale is paid for.
NOT_SOLD = "not_sold"


def refused(code: str, price: int | None = None, minimum: int | None = None) -> Refusal:
    """A refusal with the price and the minimum that it was decided on (base units)."""
    details = {}
    if price is not None:
        details["price"] = price
    if minimum is not None:
        details["minimum"] = minimum
    return Refusal(code, details)
