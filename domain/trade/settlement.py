"""What is paid and handed over when a trade is executed.

Money that a party pays to another is the price of the copies that it gets from that one, which is split as the price
of a sale: fee of the house, royalties of these cards, the rest to the party. For money alone only the fee is due.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from domain.sales.settlement import FEE, ROYALTY, SALE, Sale, SoldCopy, split
from domain.trade.state import Status, Trade
from domain.trade.terms import Leg

# The kinds of transfers, by those of sales.
_KINDS = {SALE: "trade", FEE: "trade_fee", ROYALTY: "trade_royalty"}


class Payment(msgspec.Struct, frozen=True, array_like=True):
    """``kind`` is ``trade``, ``trade_fee`` or ``trade_royalty``. No two of a trade have the same of these three."""

    kind: str
    payer: int
    payee: int
    amount: int


class Handover(msgspec.Struct, frozen=True):
    """One copy gets another owner. ``value``: what the receiver pays for it; 0 where copies are paid with copies."""

    copy: int
    card: int
    giver: int
    receiver: int
    value: int
    fee: int
    royalties: int


class Settlement(msgspec.Struct, frozen=True):
    """All of a trade. The payments sum to ``money``; ``fee`` and ``royalties`` are part of it."""

    payments: tuple[Payment, ...]
    handovers: tuple[Handover, ...]
    money: int
    fee: int
    royalties: int


def settle(legs: Sequence[Leg], copies: Mapping[int, SoldCopy], fee_bp: int, house: int) -> Settlement:
    """What follows from the agreed legs. ``copies``: all of them, with their cards' royalties."""
    given = {(leg.giver, leg.receiver): leg for leg in legs}
    pairs = dict.fromkeys([*given, *((receiver, giver) for giver, receiver in given)])
    amounts: Counter[tuple[str, int, int]] = Counter()
    handovers: list[Handover] = []
    fee = royalties = 0
    for payer, seller in pairs:
        money = given[payer, seller].money if (payer, seller) in given else 0
        goods = given[seller, payer].copies if (seller, payer) in given else ()
        parts = split(Sale(seller, payer, money, fee_bp, tuple(copies[copy] for copy in goods)), house)
        fee += parts.fee
        royalties += parts.royalties
        for leg in parts.legs:
            amounts[_KINDS[leg.kind], payer, leg.owner] += leg.amount
        handovers += [
            Handover(one.copy, one.card, seller, payer, one.price, one.fee, one.royalties) for one in parts.shares
        ]
    payments = tuple(Payment(*key, amount) for key, amount in amounts.items())
    return Settlement(payments, tuple(handovers), sum(leg.money for leg in legs), fee, royalties)


def largest_side(legs: Sequence[Leg], values: Mapping[int, int]) -> int:
    """The value of what that party gives who gives the most. ``values``: of copies, where known."""
    sides: Counter[int] = Counter()
    for leg in legs:
        sides[leg.giver] += leg.money + sum(values.get(copy, 0) for copy in leg.copies)
    return max(sides.values())


class Settled(msgspec.Struct, frozen=True):
    """An execution or a reversal (``kind``) as the database has it; ``code``: why it was impossible, or None.

    ``handed_over``: (giver, receiver, copy) of the execution. ``sound``: its order is unchanged in the log.
    """

    kind: str
    code: str | None
    copy: int | None
    at: int
    money: int
    fee: int
    royalties: int
    protected_until: int
    dispute_until: int
    payments: tuple[Payment, ...]
    sound: bool
    handed_over: frozenset[tuple[int, int, int]]


# Of a trade whose execution is in its log.
_AFTER = (Status.EXECUTED, Status.DISPUTED, Status.REVERSING, Status.COMPLETED, Status.REVERSED)


def settled_fault(trade: Trade, settled: Sequence[Settled]) -> str | None:
    """How the database differs from the log, or None. The log may lack what was done a moment ago."""
    if not all(one.sound for one in settled):
        return "the event that ordered a settlement was changed"
    execution = next((one for one in settled if one.kind == "execution"), None)
    reversal = next((one for one in settled if one.kind == "reversal" and one.code is None), None)
    if execution is None:
        ended = trade.status in (*_AFTER, Status.FAILED)
        return f"the log says {trade.status}, and there is no settlement" if ended else None
    if execution.code is not None:
        agrees = trade.status is Status.CONFIRMED or (trade.status, trade.reason) == (Status.FAILED, execution.code)
        return None if agrees else f"the log says {trade.status}, the settlement {execution.code}"
    if trade.status not in (Status.CONFIRMED, *_AFTER):
        return f"it is executed, the log says {trade.status}"
    agreed = {(leg.giver, leg.receiver, copy) for leg in trade.legs for copy in leg.copies}
    if execution.handed_over != agreed or execution.money != sum(leg.money for leg in trade.legs):
        return "it was executed on other terms than those that were agreed"
    logged = (trade.fee, trade.royalties, trade.dispute_until)
    if trade.status in _AFTER and logged != (execution.fee, execution.royalties, execution.dispute_until):
        return "the log has another fee, other royalties or another time limit of disputes"
    if (reversal is None) == (trade.status is Status.REVERSED) and trade.status is not Status.REVERSING:
        return f"the log says {trade.status}, and there is {'no' if reversal is None else 'a'} reversal"
    return None
