"""The bank: executes transactions on LiteSVM, one after the other, and knows each account at each commitment."""

import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from solders.account import Account
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.rent import Rent
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from chain.local.errors import ErrorJson, error_json
from chain.local.ledger.blocks import Blocks
from chain.local.ledger.indexes import AccountIndexes
from chain.local.ledger.landed import Change, Landed, Status, TokenBalance
from chain.local.ledger.received import AnyMessage, Received
from chain.local.ledger.versions import Versions
from chain.local.programs import (
    DECIMALS_OFFSET,
    MINT_BYTES,
    NONCE_BYTES,
    NONCE_STATE_OFFSET,
    NONCE_VALUE_OFFSET,
    SYSTEM,
    is_token_account,
    token_account,
)
from chain.local.slots import BLOCKHASH_AGE_MAX, SLOTS_PER_EPOCH

# Of mainnet in November 2026. LiteSVM's own figure is older; clients ask getMinimumBalanceForRentExemption.
LAMPORTS_PER_BYTE = 5080
RENT_EXEMPTION_YEARS = 1.0
BURN_PERCENT = 50

LOOKUP_TABLE_ADDRESSES_OFFSET = 56
DECIMALS_KNOWN_MAX = 20_000
SLOT_HASHES_MAX = 512
# Longer than a blockhash is valid: a transaction that landed is known as long as it could land again.
STATUS_SLOTS = 2 * BLOCKHASH_AGE_MAX
NONCE_INITIALIZED = (1).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a transaction would do. `accounts` are those it would change, as they would be."""

    error: ErrorJson | None
    logs: Sequence[str]
    units: int
    fee: int
    accounts: dict[Pubkey, Account]
    return_data: Any = None


def new_svm() -> LiteSVM:
    """LiteSVM without the checks that the bank makes itself: signatures, blockhashes, duplicates."""
    svm = LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
    svm.set_rent(Rent(LAMPORTS_PER_BYTE, RENT_EXEMPTION_YEARS, BURN_PERCENT))
    return svm


class Bank:
    """Signatures are verified by the caller. `statuses` has the transactions whose blockhash may still be valid."""

    def __init__(self, blocks: Blocks, svm: LiteSVM) -> None:
        self.blocks = blocks
        self.indexes = AccountIndexes()
        self.statuses: OrderedDict[Signature, Status] = OrderedDict()
        self.transaction_count = 0
        self._svm = svm
        self._versions = Versions()
        self._slot_hashes: deque[tuple[int, Hash]] = deque(maxlen=SLOT_HASHES_MAX)
        self._decimals: dict[Pubkey, int] = {}
        self._set_clock()

    # Accounts

    def account(self, address: Pubkey, slot: int | None = None) -> Account | None:
        """An account at present, or at the end of a slot that is not older than the last finalized one."""
        now = self._account(address)
        return now if slot is None else self._versions.at(slot, address, now)

    def restore(self, address: Pubkey, account: Account) -> None:
        """Set an account outside of any transaction: from the store, or at genesis."""
        self._svm.set_account(address, account)
        self.indexes.replace(address, None, account)

    def candidates(self, program: Pubkey, slot: int, offset: int | None = None, value: bytes = b"") -> set[Pubkey]:
        """Addresses among which are all that were in an index at the end of a slot."""
        return {*self.indexes.candidates(program, offset, value), *self._versions.existed(slot, program)}

    def minimum_balance(self, size: int) -> int:
        return self._svm.minimum_balance_for_rent_exemption(size)

    # Transactions

    def refuses(self, received: Received) -> ErrorJson | None:
        """Why this transaction can't be part of a block now."""
        if received.signature in self.statuses:
            return "AlreadyProcessed"
        if self.blocks.is_recent(received.blockhash) or self._nonce_is_valid(received):
            return None
        return "BlockhashNotFound"

    def execute(self, received: Received) -> Landed | ErrorJson:
        """Put it into the block of this slot. The error says why it is not part of it; nobody paid a fee then."""
        if (refusal := self.refuses(received)) is not None:
            return refusal
        loaded = self._loaded(received)
        keys = received.keys + loaded[0] + loaded[1]
        writable = received.writable + loaded[0]
        before = {address: self._account(address) for address in writable}
        balances = self._balances(keys, before)
        result: Any = self._svm.send_transaction(received.transaction)
        failed = hasattr(result, "err")
        metadata, error = (result.meta(), error_json(result.err())) if failed else (result, None)
        payer = received.keys[0]
        if error is not None and lamports_of(self._account(payer)) == lamports_of(before[payer]):
            return error
        changes = self._changes(received, before, failed=failed)
        landed = self._landed(received, keys, loaded, balances, before, changes, metadata, error)
        self._record(landed)
        return landed

    def fee(self, message: AnyMessage) -> int:
        """What a transaction with this message costs, with the fee for priority. Raises SanitizeError."""
        unsigned = VersionedTransaction.populate(
            message, [Signature.default()] * message.header.num_required_signatures
        )
        result: Any = self._svm.simulate_transaction(unsigned)
        return int(result.meta().fee())

    def simulate(self, received: Received, *, replace_blockhash: bool = False) -> Simulated:
        """Execute it without an effect."""
        if not replace_blockhash and (refusal := self.refuses(received)) is not None:
            return Simulated(refusal, (), 0, 0, {})
        result: Any = self._svm.simulate_transaction(received.transaction)
        metadata = result.meta()
        error = error_json(result.err()) if hasattr(result, "err") else None
        accounts = {} if error is not None else dict(result.post_accounts())
        returned = metadata.return_data()
        return Simulated(
            error, metadata.logs(), metadata.compute_units_consumed(), metadata.fee(), accounts, returned
        )  # fmt: skip

    # Slots

    def advance(self) -> None:
        """The next slot."""
        self.blocks.advance()
        self._set_clock()
        self._versions.forget(self.blocks.slot_at("finalized"))
        oldest = self.blocks.slot - STATUS_SLOTS
        while self.statuses and next(iter(self.statuses.values())).slot < oldest:
            self.statuses.popitem(last=False)

    def roll_back(self, slot: int) -> tuple[list[Signature], list[Change]]:
        """Undo all that came after a slot that is not finalized. Slots and heights go on."""
        changes = []
        for address, before in list(self._versions.changed_after(slot)):
            changes.append(Change(address, self._account(address), before))
            self._set(address, before)
        self._versions.cut(slot)
        undone = [signature for signature, status in self.statuses.items() if status.slot > slot]
        for signature in undone:
            del self.statuses[signature]
        self.transaction_count -= len(undone)
        return undone, changes

    def _set_clock(self) -> None:
        slot = self.blocks.slot
        self._svm.warp_to_slot(slot)
        clock = self._svm.get_clock()
        clock.unix_timestamp = int(time.time())
        clock.epoch = slot // SLOTS_PER_EPOCH
        self._svm.set_clock(clock)
        # The lookup table program asks for a slot that is in this list.
        self._slot_hashes.appendleft((slot - 1, self.blocks.hash_at(max(0, self.blocks.height - 1))))
        self._svm.set_slot_hashes(list(self._slot_hashes))

    def _account(self, address: Pubkey) -> Account | None:
        account = self._svm.get_account(address)
        return None if account is None or (account.lamports == 0 and not account.data) else account

    def _set(self, address: Pubkey, account: Account | None) -> None:
        now = self._account(address)
        self._svm.set_account(address, Account(0, b"", SYSTEM) if account is None else account)
        self.indexes.replace(address, now, account)

    def _balances(self, keys: Iterable[Pubkey], known: dict[Pubkey, Account | None]) -> tuple[int, ...]:
        return tuple(
            lamports_of(known[key]) if key in known else self._svm.get_balance(key) or 0 for key in keys
        )  # fmt: skip

    def _loaded(self, received: Received) -> tuple[tuple[Pubkey, ...], tuple[Pubkey, ...]]:
        """Addresses from look-up tables: writable and read-only. An index that a table doesn't have gives none."""
        message = received.message
        if not isinstance(message, MessageV0) or not message.address_table_lookups:
            return (), ()
        writable: list[Pubkey] = []
        readonly: list[Pubkey] = []
        for lookup in message.address_table_lookups:
            table = self._account(lookup.account_key)
            data = b"" if table is None else table.data
            writable += _addresses(data, lookup.writable_indexes)
            readonly += _addresses(data, lookup.readonly_indexes)
        return tuple(writable), tuple(readonly)

    def _changes(self, received: Received, before: dict[Pubkey, Account | None], *, failed: bool) -> list[Change]:
        nonce = received.nonce_account()
        uses_nonce = nonce is not None and not self.blocks.is_recent(received.blockhash)
        changes = []
        for address, was in before.items():
            now = self._account(address)
            # A nonce advances also where the transaction fails; LiteSVM undoes that with the rest.
            moved = differ(now, was) or (failed and uses_nonce and address == nonce)
            if moved and now is not None and now.owner == SYSTEM and len(now.data) == NONCE_BYTES:
                now = self._with_own_nonce(address, now)
            if moved:
                changes.append(Change(address, was, now))
        return changes

    def _record(self, landed: Landed) -> None:
        slot = self.blocks.slot
        for change in landed.changes:
            self._versions.changed(slot, change.address, change.before)
            self.indexes.replace(change.address, change.before, change.after)
        self.statuses[landed.signature] = Status(slot, landed.error)
        self.transaction_count += 1

    def _landed(
        self,
        received: Received,
        keys: tuple[Pubkey, ...],
        loaded: tuple[tuple[Pubkey, ...], tuple[Pubkey, ...]],
        balances: tuple[int, ...],
        before: dict[Pubkey, Account | None],
        changes: list[Change],
        metadata: Any,
        error: ErrorJson | None,
    ) -> Landed:
        after = before | {change.address: change.after for change in changes}
        places = {key: index for index, key in enumerate(keys)}
        unchanged = zip(keys, balances, strict=True)
        balances_after = tuple(lamports_of(after[key]) if key in after else balance for key, balance in unchanged)
        return Landed(
            received.signature,
            self.blocks.slot,
            self._svm.get_clock().unix_timestamp,
            received.raw,
            received.version,
            error,
            metadata,
            keys,
            loaded,
            balances,
            balances_after,
            self._tokens(before, places),
            self._tokens(after, places),
            tuple(changes),
        )  # fmt: skip

    def _tokens(self, accounts: dict[Pubkey, Account | None], places: dict[Pubkey, int]) -> tuple[TokenBalance, ...]:
        found = []
        for address, account in accounts.items():
            if account is None or not is_token_account(account.owner, account.data):
                continue
            token = token_account(account.data)
            decimals = self.decimals(token.mint)
            found.append(TokenBalance(places[address], token.mint, token.owner, account.owner, token.amount, decimals))
        return tuple(found)

    def decimals(self, mint: Pubkey) -> int:
        """The decimals of a mint; 0 where there is none."""
        known = self._decimals.get(mint)
        if known is None:
            account = self._account(mint)
            if account is None or len(account.data) < MINT_BYTES:
                return 0
            known = account.data[DECIMALS_OFFSET]
            if len(self._decimals) >= DECIMALS_KNOWN_MAX:
                self._decimals.clear()
            self._decimals[mint] = known
        return known

    # Durable nonces. Their values follow the chain's own blockhashes, which LiteSVM doesn't know.

    def _nonce_is_valid(self, received: Received) -> bool:
        address = received.nonce_account()
        account = None if address is None else self._account(address)
        if account is None or account.owner != SYSTEM or len(account.data) != NONCE_BYTES:
            return False
        stored = account.data[NONCE_VALUE_OFFSET : NONCE_VALUE_OFFSET + 32]
        # A nonce that would not change can't be used: it advances at most once a block.
        return stored == bytes(received.blockhash) and stored != self._next_nonce()

    def _next_nonce(self) -> bytes:
        return sha256(b"DURABLE_NONCE" + bytes(self.blocks.hash_at(self.blocks.height))).digest()

    def _with_own_nonce(self, address: Pubkey, account: Account) -> Account:
        data = account.data
        if data[NONCE_STATE_OFFSET : NONCE_STATE_OFFSET + 4] != NONCE_INITIALIZED:
            return account
        data = data[:NONCE_VALUE_OFFSET] + self._next_nonce() + data[NONCE_VALUE_OFFSET + 32 :]
        changed = Account(account.lamports, data, account.owner, account.executable, account.rent_epoch)
        self._svm.set_account(address, changed)
        return changed


def differ(one: Account | None, other: Account | None) -> bool:
    """Whether two states of an account differ. Ten times as fast as their own comparison."""
    if one is None or other is None:
        return one is not other
    return one.lamports != other.lamports or one.data != other.data or one.owner != other.owner


def lamports_of(account: Account | None) -> int:
    return 0 if account is None else account.lamports


def _addresses(table: bytes, indexes: bytes) -> list[Pubkey]:
    offsets = [LOOKUP_TABLE_ADDRESSES_OFFSET + 32 * index for index in indexes]
    return [Pubkey(table[offset : offset + 32]) for offset in offsets if len(table) >= offset + 32]
