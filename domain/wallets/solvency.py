"""Compares the money that the ledger owes with what the wallets in custody have on the chain."""

import msgspec

MISSING = "usdc_missing"
SURPLUS = "usdc_surplus"
BOOKS_DIFFER = "usdc_books_differ"


class Booked(msgspec.Struct, frozen=True):
    """What the database says, in base units.

    ``owed``: deposits that are not withdrawn, by the ledger; ``deposited`` and ``withdrawn`` are their sums by row.
    ``sending``: withdrawals that may be on the chain already. ``unswept``: deposits that are not in the
    treasury yet. ``issued``: what faucets gave away.
    """

    owed: int
    deposited: int
    withdrawn: int
    sending: int
    unswept: int
    issued: int


class MoneyFinding(msgspec.Struct, frozen=True):
    """``code`` is stable. ``found`` is on the chain, or, of ``usdc_books_differ``, the sum of rows. Base units."""

    code: str
    expected: int
    found: int
    explanation: str


class Solvency(msgspec.Struct, frozen=True):
    """The comparison. ``treasury`` and ``custodial``: final balances on the chain; ``arriving``: not credited yet."""

    owed: int
    deposited: int
    withdrawn: int
    treasury: int
    custodial: int
    sending: int
    arriving: int
    finding: MoneyFinding | None

    @property
    def short(self) -> bool:
        """Whether money is missing: a surplus is no fault."""
        return self.finding is not None and self.finding.code != SURPLUS


def compare(booked: Booked, treasury: int, custodial: int) -> Solvency:
    """A withdrawal that is being sent may have left the treasury; what a faucet issued may have been paid out of it."""
    arriving = max(0, custodial - booked.unswept)
    on_chain = treasury + custodial - arriving
    finding = None
    if on_chain < booked.owed - booked.sending:
        finding = MoneyFinding(MISSING, booked.owed, on_chain, "the wallets in custody have less than the ledger owes")
    elif on_chain > booked.owed + booked.issued:
        explanation = "the treasury got what is no deposit: an operator may have filled it up"
        finding = MoneyFinding(SURPLUS, booked.owed, on_chain, explanation)
    elif booked.owed != booked.deposited - booked.withdrawn:
        explanation = "the ledger owes another sum than that of deposits and paid withdrawals"
        finding = MoneyFinding(BOOKS_DIFFER, booked.owed, booked.deposited - booked.withdrawn, explanation)
    return Solvency(
        booked.owed, booked.deposited, booked.withdrawn, treasury, custodial, booked.sending, arriving, finding
    )
