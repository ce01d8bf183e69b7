"""Priority fees that transactions paid in recent slots."""

from collections import OrderedDict
from collections.abc import Sequence

from solders.message import MessageV1
from solders.pubkey import Pubkey

from chain.local.ledger.received import Received
from chain.local.programs import COMPUTE_BUDGET

SLOTS_MAX = 150
# Of one slot; beyond, only the lowest fee of the slot is known.
ACCOUNTS_MAX = 20_000
SET_COMPUTE_UNIT_PRICE = 3
UNITS_BY_DEFAULT = 200_000
MICRO = 1_000_000


class RecentFees:
    """The lowest price of a compute unit, in micro-lamports, by slot and by written account."""

    def __init__(self) -> None:
        self._slots: OrderedDict[int, dict[Pubkey | None, int]] = OrderedDict()

    def record(self, slot: int, transaction: Received) -> None:
        price = unit_price(transaction)
        fees = self._slots.get(slot)
        if fees is None:
            fees = self._slots[slot] = {}
            while len(self._slots) > SLOTS_MAX:
                self._slots.popitem(last=False)
        for key in (None, *transaction.writable):
            if key in fees or len(fees) < ACCOUNTS_MAX:
                fees[key] = min(price, fees.get(key, price))

    def recent(self, slot: int, accounts: Sequence[Pubkey]) -> list[tuple[int, int]]:
        """(slot, fee), oldest first: the highest of the accounts' lowest fees, 0 for a slot without transactions."""
        return [(one, self._fee(one, accounts)) for one in range(max(0, slot - SLOTS_MAX + 1), slot + 1)]

    def _fee(self, slot: int, accounts: Sequence[Pubkey]) -> int:
        fees = self._slots.get(slot)
        if fees is None:
            return 0
        return max((fees.get(account, 0) for account in accounts), default=fees.get(None, 0))


def unit_price(transaction: Received) -> int:
    """What a transaction offers for a compute unit, in micro-lamports."""
    message = transaction.message
    if isinstance(message, MessageV1):
        fee, units = message.config.priority_fee or 0, message.config.compute_unit_limit or UNITS_BY_DEFAULT
        return fee * MICRO // max(1, units)
    for instruction in message.instructions:
        data = bytes(instruction.data)
        is_price = len(data) == 9 and data[0] == SET_COMPUTE_UNIT_PRICE
        if is_price and transaction.keys[instruction.program_id_index] == COMPUTE_BUDGET:
            return int.from_bytes(data[1:], "little")
    return 0
