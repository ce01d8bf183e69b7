"""Which accounts a program has, by itself and by the 32-byte fields that clients filter by."""

from collections.abc import Collection

from solders.account import Account
from solders.pubkey import Pubkey

from chain.local.programs import (
    CORE_OWNER_OFFSET,
    CORE_UPDATE_AUTHORITY_OFFSET,
    METAPLEX_CORE,
    MINT_OFFSET,
    OWNER_OFFSET,
    TOKEN,
    TOKEN_2022,
)

FIELD_BYTES = 32
# Offsets of fields with an index, by program.
FIELDS = {
    TOKEN: (MINT_OFFSET, OWNER_OFFSET),
    TOKEN_2022: (MINT_OFFSET, OWNER_OFFSET),
    METAPLEX_CORE: (CORE_OWNER_OFFSET, CORE_UPDATE_AUTHORITY_OFFSET),
}

_Entry = Pubkey | set[Pubkey]


class AccountIndexes:
    """Addresses by program, and by program, offset and the 32 bytes there."""

    def __init__(self) -> None:
        self._of_program: dict[Pubkey, set[Pubkey]] = {}
        # Most keys have one address: no set is made for it.
        self._by_field: dict[tuple[Pubkey, int], dict[bytes, _Entry]] = {
            (program, offset): {} for program, offsets in FIELDS.items() for offset in offsets
        }

    def replace(self, address: Pubkey, before: Account | None, after: Account | None) -> None:
        """An account has changed, or come into being, or ceased to exist (None)."""
        old = None if before is None else before.owner
        new = None if after is None else after.owner
        if old is None and new is None:
            return
        # A comparison of an address with None is slow.
        if old is None or new is None or old != new:
            if old is not None:
                self._of_program.get(old, set()).discard(address)
            if new is not None:
                self._of_program.setdefault(new, set()).add(address)
        if old in FIELDS or new in FIELDS:
            self._replace_fields(address, before, after)

    def candidates(self, program: Pubkey, offset: int | None = None, value: bytes = b"") -> Collection[Pubkey]:
        """All accounts of a program, or those with these bytes at an offset that has an index."""
        if offset is None:
            return self._of_program.get(program, set())
        entry = self._by_field[program, offset].get(value)
        if entry is None:
            return ()
        return entry if isinstance(entry, set) else (entry,)

    def has(self, program: Pubkey, offset: int) -> bool:
        """Whether there is an index of this field."""
        return (program, offset) in self._by_field

    def _replace_fields(self, address: Pubkey, before: Account | None, after: Account | None) -> None:
        old, new = _fields(before), _fields(after)
        for key in old.keys() | new.keys():
            was, is_now = old.get(key), new.get(key)
            if was == is_now:
                continue
            if was is not None:
                _remove(self._by_field[key], was, address)
            if is_now is not None:
                _add(self._by_field[key], is_now, address)


def _fields(account: Account | None) -> dict[tuple[Pubkey, int], bytes]:
    if account is None:
        return {}
    program = account.owner
    offsets = FIELDS.get(program)
    if offsets is None:
        return {}
    data = account.data
    return {
        (program, offset): data[offset : offset + FIELD_BYTES]
        for offset in offsets
        if len(data) >= offset + FIELD_BYTES
    }


def _add(index: dict[bytes, _Entry], value: bytes, address: Pubkey) -> None:
    entry = index.get(value)
    if entry is None:
        index[value] = address
    elif isinstance(entry, set):
        entry.add(address)
    elif entry != address:
        index[value] = {entry, address}


def _remove(index: dict[bytes, _Entry], value: bytes, address: Pubkey) -> None:
    entry = index.get(value)
    if isinstance(entry, set):
        entry.discard(address)
        if not entry:
            del index[value]
    elif entry == address:
        del index[value]
