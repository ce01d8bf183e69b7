"""Swaps: trades between two outside wallets. Cards go from one to the other, and one of them may pay."""

from collections.abc import Mapping

import msgspec

from domain.ledger.books import HOUSE
from domain.ledger.currencies import AMOUNT_MAX
from domain.sales.settlement import SALE, Leg, Payee, Sale, SoldCopy, Split, split

# More never fit into a transaction.
COPIES_MAX = 8


class GivenCopy(msgspec.Struct, frozen=True):
    """A minted copy that one side gives: its asset, and the royalties of its card."""

    copy: int
    card: int
    asset: str
    standard: str
    collection: str | None
    royalty: tuple[Payee, ...] = ()


class Side(msgspec.Struct, frozen=True):
    """One of the two: a user, their outside wallet, and what it gives. ``pays`` is base units of USDC."""

    user: int
    wallet: str
    copies: tuple[GivenCopy, ...]
    pays: int = 0


class CardLeg(msgspec.Struct, frozen=True, tag="card"):
    """An asset changes wallets. ``price``: its share of what is paid for it, 0 if nothing is."""

    copy: int
    asset: str
    standard: str
    collection: str | None
    giver: str
    taker: str
    price: int = 0


class PaymentLeg(msgspec.Struct, frozen=True, tag="payment"):
    """USDC, in base units. ``purpose``: ``sale``, ``fee`` or ``royalty``."""

    purpose: str
    giver: str
    taker: str
    amount: int


SwapLeg = CardLeg | PaymentLeg


def terms_fault(sides: tuple[Side, Side]) -> str | None:
    """Why these two can't swap this, or None when they can."""
    one, two = sides
    if one.user == two.user or one.wallet == two.wallet:
        return "a swap is between two users"
    if not one.copies and not two.copies:
        return "a swap moves at least one card"
    if one.pays and two.pays:
        return "one side pays at most"
    if any(not 0 <= side.pays <= AMOUNT_MAX for side in sides):
        return "an amount is out of range"
    copies = [given.copy for side in sides for given in side.copies]
    if len(set(copies)) < len(copies):
        return "a copy is in it twice"
    return None if len(copies) <= COPIES_MAX else f"a swap has {COPIES_MAX} cards at most"


def payment_of(sides: tuple[Side, Side], fee_bp: int) -> Split | None:
    """Who gets what is paid: for cards as in a sale, with royalties and the fee of the seller. None: nobody pays."""
    payer, payee = sides if sides[0].pays else sides[::-1]
    if not payer.pays:
        return None
    if not payee.copies:
        return Split((Leg(SALE, payee.user, payer.pays),), (), 0, 0)
    sold = tuple(SoldCopy(given.copy, given.card, given.royalty) for given in payee.copies)
    return split(Sale(payee.user, payer.user, payer.pays, fee_bp, sold), HOUSE)


def legs_of(sides: tuple[Side, Side], payment: Split | None, addresses: Mapping[int, str]) -> list[SwapLeg]:
    """The legs of the transaction. ``addresses``: of the house, and of those who get royalties."""
    prices = {} if payment is None else {share.copy: share.price for share in payment.shares}
    legs: list[SwapLeg] = [
        CardLeg(
            given.copy, given.asset, given.standard, given.collection, giver.wallet, taker.wallet,
            prices.get(given.copy, 0),
        )
        for giver, taker in (sides, sides[::-1])
        for given in giver.copies
    ]  # fmt: skip
    if payment is not None:
        payer, payee = sides if sides[0].pays else sides[::-1]
        known = {**addresses, payee.user: payee.wallet}
        legs += [PaymentLeg(leg.kind, payer.wallet, known[leg.owner], leg.amount) for leg in payment.legs]
    return legs
