"""Methods that read accounts."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Iterable, Sequence

from solders.account import Account
from solders.pubkey import Pubkey

from chain import base58
from chain.local.errors import INVALID_PARAMS, RpcError
from chain.local.ledger.indexes import FIELD_BYTES
from chain.local.methods.configs import AccountConfig, Config, Filter, ProgramConfig, slot_of, with_context
from chain.local.methods.encoding import account_json
from chain.local.methods.registry import rpc
from chain.local.node import Node

ACCOUNTS_MAX = 100
FILTERS_MAX = 4
MEMCMP_BYTES_MAX = 128
# Accounts that a scan reads before others get a turn.
SCANNED_TOGETHER = 500

Test = tuple[int | None, int, bytes]


class AccountMethods:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._bank = node.bank

    @rpc("getBalance")
    def get_balance(self, address: Pubkey, config: Config | None = None) -> object:
        slot = slot_of(self._node.blocks, config)
        account = self._bank.account(address, slot)
        return with_context(slot, 0 if account is None else account.lamports)

    @rpc("getAccountInfo")
    def get_account_info(self, address: Pubkey, config: AccountConfig | None = None) -> object:
        slot = slot_of(self._node.blocks, config)
        return with_context(slot, self._account(address, slot, config or AccountConfig()))

    @rpc("getMultipleAccounts")
    def get_multiple_accounts(self, addresses: list[Pubkey], config: AccountConfig | None = None) -> object:
        if len(addresses) > ACCOUNTS_MAX:
            raise RpcError(INVALID_PARAMS, f"Too many inputs provided; max {ACCOUNTS_MAX}")
        slot = slot_of(self._node.blocks, config)
        read = config or AccountConfig(encoding="base64")
        return with_context(slot, [self._account(address, slot, read) for address in addresses])

    @rpc("getProgramAccounts")
    async def get_program_accounts(self, program: Pubkey, config: ProgramConfig | None = None) -> object:
        """Reads piece by piece: an account that changes meanwhile is given as it is when its turn comes."""
        read = config or ProgramConfig()
        slot = slot_of(self._node.blocks, config)
        tests = tests_of(read.filters or ())
        found = []
        async for address, account in self.scan(program, slot, tests):
            written = account_json(self._bank, account, read.encoding, read.data_slice)
            found.append({"pubkey": str(address), "account": written})
        return with_context(slot, found) if read.with_context else found

    async def scan(self, program: Pubkey, slot: int, tests: Sequence[Test]) -> AsyncIterator[tuple[Pubkey, Account]]:
        """(address, account) of each account of a program that passes the tests."""
        candidates = self._candidates(program, slot, tests)
        for number, address in enumerate(candidates):
            if number % SCANNED_TOGETHER == SCANNED_TOGETHER - 1:
                await asyncio.sleep(0)
            account = self._bank.account(address, slot)
            if account is not None and account.owner == program and passes(account.data, tests):
                yield address, account

    @rpc("getMinimumBalanceForRentExemption")
    def get_minimum_balance(self, size: int, config: Config | None = None) -> object:
        if not 0 <= size <= 10 * 1024 * 1024:
            raise RpcError(INVALID_PARAMS, "Invalid params: an account has up to 10 MiB")
        return self._bank.minimum_balance(size)

    def _account(self, address: Pubkey, slot: int, config: AccountConfig) -> object:
        account = self._bank.account(address, slot)
        return None if account is None else account_json(self._bank, account, config.encoding, config.data_slice)

    def _candidates(self, program: Pubkey, slot: int, tests: Sequence[Test]) -> set[Pubkey]:
        for size, offset, value in tests:
            if size is None and len(value) == FIELD_BYTES and self._bank.indexes.has(program, offset):
                return self._bank.candidates(program, slot, offset, value)
        return self._bank.candidates(program, slot)


def tests_of(filters: Iterable[Filter]) -> list[Test]:
    """Filters as (size, offset, bytes). Raises RpcError for one that makes no sense."""
    tests: list[Test] = []
    for one in filters:
        if (one.data_size is None) == (one.memcmp is None):
            raise RpcError(INVALID_PARAMS, "Invalid params: a filter is dataSize or memcmp")
        if one.memcmp is not None:
            tests.append((None, one.memcmp.offset, _bytes(one.memcmp.bytes, one.memcmp.encoding)))
        else:
            tests.append((one.data_size, 0, b""))
    if len(tests) > FILTERS_MAX:
        raise RpcError(INVALID_PARAMS, f"Too many filters provided; max {FILTERS_MAX}")
    return tests


def passes(data: bytes, tests: Iterable[Test]) -> bool:
    """Whether the data of an account pass all tests."""
    return all(
        data[offset : offset + len(value)] == value if size is None else len(data) == size
        for size, offset, value in tests
    )


def _bytes(text: str, encoding: str) -> bytes:
    try:
        if len(text) > 2 * MEMCMP_BYTES_MAX:
            raise ValueError("too long")
        value = base64.b64decode(text, validate=True) if encoding == "base64" else base58.decode(text)
    except (ValueError, binascii.Error) as error:
        raise RpcError(INVALID_PARAMS, f"Invalid params: bytes of memcmp: {error}") from error
    if len(value) > MEMCMP_BYTES_MAX:
        raise RpcError(INVALID_PARAMS, f"Invalid params: memcmp takes up to {MEMCMP_BYTES_MAX} bytes")
    return value
