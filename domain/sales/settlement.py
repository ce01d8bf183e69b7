"""The split of a sale's price: seller, fee of the house, royalties of the cards' payees.

A bundle's price is divided over its copies without remainder, so that each has a price. All amounts are base units,
shares are basis points (hundredths of a percent), rounded down in favour of the seller.
"""

from collections.abc import Iterable, Sequence

import msgspec

BASIS = 10_000
FEE_BP_MAX = 5_000
ROYALTY_BP_MAX = 5_000
PAYEES_MAX = 5

SALE = "sale"
FEE = "fee"
ROYALTY = "royalty"


class Payee(msgspec.Struct, frozen=True, array_like=True):
    """A user who gets a royalty of each sale, and its share."""

    owner: int
    basis_points: int


class SoldCopy(msgspec.Struct, frozen=True):
    """One copy that is sold, and the royalties of its card."""

    copy: int
    card: int
    royalty: tuple[Payee, ...] = ()


class Sale(msgspec.Struct, frozen=True):
    """A sale to settle. Without ``copies`` it is of something outside the catalog, which has no royalties."""

    seller: int
    buyer: int
    price: int
    fee_bp: int
    copies: tuple[SoldCopy, ...] = ()


class Leg(msgspec.Struct, frozen=True):
    """The buyer pays ``amount`` to ``owner``; for a fee that is the house. No two legs have the same kind and owner."""

    kind: str
    owner: int
    amount: int


class Share(msgspec.Struct, frozen=True):
    """One copy's part of the price, the fee and the royalties."""

    copy: int
    card: int
    price: int
    fee: int
    royalties: int


class Split(msgspec.Struct, frozen=True):
    """The whole of a sale. The legs sum to the price; so do the shares, where there are copies."""

    legs: tuple[Leg, ...]
    shares: tuple[Share, ...]
    fee: int
    royalties: int


class HighestBids:
    """The highest bid of a user other than the winner; of equal bids the earlier one. Bids are added in order."""

    def __init__(self, winner: int | None) -> None:
        self._winner = winner
        self.best: tuple[int, str, int] | None = None

    def add(self, bidder: int, name: str, maximum: int) -> None:
        """Add the next bid."""
        if bidder != self._winner and (self.best is None or maximum > self.best[2]):
            self.best = (bidder, name, maximum)


def royalty_fault(payees: Sequence[Payee]) -> str | None:
    """Why these can't be a card's royalties, or None when they can."""
    if len(payees) > PAYEES_MAX:
        return f"a royalty has at most {PAYEES_MAX} payees"
    if any(not 1 <= payee.basis_points <= ROYALTY_BP_MAX for payee in payees):
        return f"a payee gets from 1 to {ROYALTY_BP_MAX} basis points"
    if sum(payee.basis_points for payee in payees) > ROYALTY_BP_MAX:
        return f"all payees together get at most {ROYALTY_BP_MAX} basis points"
    if len({payee.owner for payee in payees}) < len(payees):
        return "a payee is named once"
    return None


def split(sale: Sale, house: int) -> Split:
    """Split the price. A payee who is the seller or buyer gets no royalty: the seller gets it."""
    fee = sale.price * sale.fee_bp // BASIS
    prices = shared_out(sale.price, len(sale.copies))
    fees = shared_out(fee, len(sale.copies))
    royalties: dict[int, int] = {}
    shares = []
    for copy, price, its_fee in zip(sale.copies, prices, fees, strict=True):
        due = list(_royalties(sale, copy, price))
        for owner, amount in due:
            royalties[owner] = royalties.get(owner, 0) + amount
        shares.append(Share(copy.copy, copy.card, price, its_fee, sum(amount for _, amount in due)))
    royalty = sum(royalties.values())
    legs = [Leg(SALE, sale.seller, sale.price - fee - royalty), Leg(FEE, house, fee)]
    legs += [Leg(ROYALTY, owner, royalties[owner]) for owner in sorted(royalties)]
    return Split(tuple(leg for leg in legs if leg.amount), tuple(shares), fee, royalty)


def shared_out(amount: int, parts: int) -> list[int]:
    """Divide an amount into equal parts; the first ones are larger by one unit if it can't be divided evenly."""
    if not parts:
        return []
    each, left = divmod(amount, parts)
    return [each + 1] * left + [each] * (parts - left)


def _royalties(sale: Sale, copy: SoldCopy, price: int) -> Iterable[tuple[int, int]]:
    for payee in copy.royalty:
        amount = price * payee.basis_points // BASIS
        if amount and payee.owner not in (sale.seller, sale.buyer):
            yield payee.owner, amount
