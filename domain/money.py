"""Money is an ``int`` of base units; USDC has 6 decimals, so 1 USD is 1,000,000."""

UNITS_PER_USD = 1_000_000
# One thousand million dollars: far above any card, far below where 64-bit sums of prices could overflow.
AMOUNT_MAX = 1_000_000_000 * UNITS_PER_USD


def usd(dollars: int, cents: int = 0) -> int:
    """Base units of an amount given in whole dollars and cents."""
    return dollars * UNITS_PER_USD + cents * (UNITS_PER_USD // 100)
