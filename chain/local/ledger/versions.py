"""What accounts were before the slots that are not yet finalized: for reads at a commitment, and for rolling back."""

from collections import OrderedDict
from collections.abc import Iterator

from solders.account import Account
from solders.pubkey import Pubkey

from chain.local.slots import FINALIZED_AFTER_SLOTS

# A stalled disk holds back finality; so many slots may then be rolled back or read, no more.
SLOTS_MAX = 4 * FINALIZED_AFTER_SLOTS


class Versions:
    """By slot, the state that each account had before the slot changed it. None: it did not exist."""

    def __init__(self) -> None:
        self._before: OrderedDict[int, dict[Pubkey, Account | None]] = OrderedDict()
        # Of these, the accounts that existed: most changes make new ones.
        self._existed: dict[int, dict[Pubkey, Account]] = {}

    def changed(self, slot: int, address: Pubkey, before: Account | None) -> None:
        """Only the first change of a slot counts."""
        accounts = self._before.setdefault(slot, {})
        if address in accounts:
            return
        accounts[address] = before
        if before is not None:
            self._existed.setdefault(slot, {})[address] = before

    def forget(self, finalized: int) -> None:
        """Drop what nobody can ask for any more."""
        while self._before and (next(iter(self._before)) <= finalized or len(self._before) > SLOTS_MAX):
            slot, _ = self._before.popitem(last=False)
            self._existed.pop(slot, None)

    def at(self, slot: int, address: Pubkey, now: Account | None) -> Account | None:
        """The account at the end of a slot; `now` is what it is at present."""
        for changed_in, accounts in self._before.items():
            if changed_in > slot and address in accounts:
                return accounts[address]
        return now

    def changed_after(self, slot: int) -> Iterator[tuple[Pubkey, Account | None]]:
        """Every account that changed after a slot, as it was at its end."""
        seen: set[Pubkey] = set()
        for changed_in, accounts in self._before.items():
            if changed_in > slot:
                yield from ((address, before) for address, before in accounts.items() if address not in seen)
                seen.update(accounts)

    def existed(self, slot: int, program: Pubkey) -> Iterator[Pubkey]:
        """Accounts of a program that changed after a slot, some of them in several slots."""
        for changed_in, accounts in self._existed.items():
            if changed_in > slot:
                yield from (address for address, before in accounts.items() if before.owner == program)

    def cut(self, slot: int) -> None:
        """Forget what came after a slot: it was rolled back."""
        for later in [one for one in self._before if one > slot]:
            del self._before[later]
            self._existed.pop(later, None)
