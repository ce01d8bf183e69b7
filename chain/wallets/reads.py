"""What custody reads of the chain, all of it final: balances, histories, accounts."""

import asyncio
from collections.abc import Sequence

import msgspec
from solders.pubkey import Pubkey

from chain.programs import metaplex
from chain.programs.addresses import TOKEN, token_account_of
from chain.programs.tokens import AMOUNT_OFFSET, OWNER_OFFSET
from chain.rpc.answers import AccountState
from chain.rpc.client import ChainRpc
from chain.rpc.errors import InvalidAnswer
from chain.rpc.history import final_transaction, history_of
from chain.standards.registry import STANDARDS

AMOUNT_BYTES, ADDRESS_BYTES = 8, 32
CALLS_AT_ONCE = 8


class MoneyOnChain:
    """Token accounts of one currency. Every method may raise ChainError."""

    def __init__(self, rpc: ChainRpc, mint: Pubkey, currency: str) -> None:
        self._rpc = rpc
        self._mint = mint
        self._currency = currency

    @property
    def currency(self) -> str:
        """The currency of these accounts."""
        return self._currency

    def account_of(self, wallet: str) -> str:
        """The token account of a wallet."""
        return str(token_account_of(Pubkey.from_string(wallet), self._mint, TOKEN))

    async def balances(self, accounts: Sequence[str]) -> list[int]:
        """The balances of these token accounts in base units; 0 for one that does not exist."""
        found = await self._rpc.accounts(
            [Pubkey.from_string(one) for one in accounts], commitment="finalized",
            data_slice=(AMOUNT_OFFSET, AMOUNT_BYTES),
        )  # fmt: skip
        return [0 if one is None else int.from_bytes(one.data, "little") for one in found.accounts]

    async def history(
        self, account: str, before: str | None, until: str | None, limit: int
    ) -> list[tuple[str, int, bool]]:
        """(signature, slot, failed) of the transactions of an account, the newest first."""
        found = await history_of(self._rpc, Pubkey.from_string(account), before=before, until=until, limit=limit)
        return [(one.signature, one.slot, one.err is not None) for one in found]

    async def arrived(self, signature: str, account: str) -> int:
        """What this transaction added to the account, in base units. Raises ChainUnavailable if it is not known."""
        record = await final_transaction(self._rpc, signature)
        return 0 if record.failed else record.changes.get((account, str(self._mint)), 0)


class AccountsOnChain:
    """Accounts as the chain has them. May raise ChainError."""

    def __init__(self, rpc: ChainRpc) -> None:
        self._rpc = rpc

    async def account(self, address: Pubkey) -> AccountState | None:
        """The account at this address; None if there is none."""
        return (await self._rpc.accounts([address])).accounts[0]


class _LargestAccount(msgspec.Struct):
    address: str
    amount: str


class _Context(msgspec.Struct):
    slot: int


class _LargestAccounts(msgspec.Struct):
    context: _Context
    value: list[_LargestAccount]


class CardsOnChain:
    """Who holds assets. May raise ChainError.

    Of Token-2022: the owner of the one token account with a balance. Of Metaplex Core: the asset says it.
    """

    def __init__(self, rpc: ChainRpc) -> None:
        self._rpc = rpc

    async def holders(self, assets: Sequence[str]) -> list[tuple[str | None, int]]:
        """The wallet that holds each asset, and as of which slot; None if nobody does."""
        known = await self._by_account(assets)
        others = [one for one in assets if one not in known]
        known |= dict(zip(others, await self._of_tokens(others), strict=True))
        return [known[one] for one in assets]

    async def in_reach(self, held: Sequence[tuple[str, str, str]]) -> list[bool]:
        """For each (standard, asset, wallet): whether a transfer from this wallet would find the asset.

        A wallet may have several token accounts. Transfers are from its associated one.
        """
        read = [
            (STANDARDS[standard], Pubkey.from_string(asset), Pubkey.from_string(wallet))
            for standard, asset, wallet in held
        ]
        found = await self._rpc.accounts(
            [standard.holding_address(asset, wallet) for standard, asset, wallet in read], commitment="finalized"
        )
        return [
            state is not None and standard.holds(state.data, asset, wallet)
            for (standard, asset, wallet), state in zip(read, found.accounts, strict=True)
        ]

    async def _by_account(self, assets: Sequence[str]) -> dict[str, tuple[str | None, int]]:
        """Of Metaplex Core, and of what the chain does not have: of all that is no mint of tokens."""
        try:
            addresses = [Pubkey.from_string(one) for one in assets]
        except ValueError:
            raise InvalidAnswer("an asset whose address can't be read") from None
        found = await self._rpc.accounts(addresses, commitment="finalized", data_slice=(0, 1 + ADDRESS_BYTES))
        return {
            asset: (None if state is None else metaplex.owner_of(state.data), found.slot)
            for asset, state in zip(assets, found.accounts, strict=True)
            if state is None or state.owner == metaplex.MPL_CORE
        }

    async def _of_tokens(self, assets: Sequence[str]) -> list[tuple[str | None, int]]:
        turns = asyncio.Semaphore(CALLS_AT_ONCE)

        async def account(asset: str) -> tuple[str | None, int]:
            async with turns:
                return await self._account_of(asset)

        tasks = [asyncio.ensure_future(account(asset)) for asset in assets]
        try:
            found = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        owners, slot = await self._owners_of([account for account, _ in found if account is not None])
        return [(None, seen) if account is None else (owners.get(account), min(slot, seen)) for account, seen in found]

    async def _account_of(self, asset: str) -> tuple[str | None, int]:
        answer = await self._rpc.call("getTokenLargestAccounts", [asset, {"commitment": "finalized"}], _LargestAccounts)
        return next((one.address for one in answer.value if one.amount == "1"), None), answer.context.slot

    async def _owners_of(self, accounts: Sequence[str]) -> tuple[dict[str, str], int]:
        try:
            addresses = [Pubkey.from_string(one) for one in accounts]
        except ValueError:
            raise InvalidAnswer("getTokenLargestAccounts: an address that can't be read") from None
        found = await self._rpc.accounts(
            addresses, commitment="finalized", data_slice=(OWNER_OFFSET, AMOUNT_OFFSET - OWNER_OFFSET + AMOUNT_BYTES)
        )
        owners = {}
        for account, state in zip(accounts, found.accounts, strict=True):
            # It may have moved on between the two answers.
            if state is not None and state.data[ADDRESS_BYTES:] == (1).to_bytes(AMOUNT_BYTES, "little"):
                owners[account] = str(Pubkey.from_bytes(state.data[:ADDRESS_BYTES]))
        return owners, found.slot
