"""Refusals with the price and minimum that the decision was based on."""

from domain.entity import Refusal

# Internal: no client sends the command that is refused with it.
NOT_SOLD = "not_sold"


def refused(code: str, price: int | None = None, minimum: int | None = None) -> Refusal:
    """A refusal with the price and the minimum that it was decided on (base units)."""
    details = {}
    if price is not None:
        details["price"] = price
    if minimum is not None:
        details["minimum"] = minimum
    return Refusal(code, details)
