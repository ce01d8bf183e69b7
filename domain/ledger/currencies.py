"""The currencies that accounts are kept in. An amount is an ``int`` of base units, and never anything else."""

import msgspec

# The largest integer that JavaScript clients represent exactly.
AMOUNT_MAX = 2**53 - 1
# The limit of balances of the house's accounts, positive or negative: sums of them still fit 64 bits.
HOUSE_BALANCE_MAX = 2**62


class Currency(msgspec.Struct, frozen=True):
    """``decimals``: one whole unit is ``10 ** decimals`` base units."""

    code: str
    decimals: int


USDC = Currency("USDC", 6)
CURRENCIES = {currency.code: currency for currency in (USDC,)}


def is_amount(value: object) -> bool:
    """Whether it is an int in 1 .. 2**53-1; ``True`` and ``1.0`` are not."""
    return type(value) is int and 1 <= value <= AMOUNT_MAX


def shown(amount: int, currency: Currency) -> str:
    """The amount in whole units, exactly: -1500000 USDC is ``-1.500000``."""
    whole, rest = divmod(abs(amount), 10**currency.decimals)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{rest:0{currency.decimals}}" if currency.decimals else f"{sign}{whole}"
