"""Methods that read balances of tokens."""

from solders.account import Account
from solders.pubkey import Pubkey

from chain.local.errors import INVALID_PARAMS, RpcError
from chain.local.ledger.landed import amount_json
from chain.local.methods.configs import AccountConfig, Config, TokenFilter, slot_of, with_context
from chain.local.methods.encoding import account_json
from chain.local.methods.registry import rpc
from chain.local.node import Node
from chain.local.programs import (
    MINT_OFFSET,
    OWNER_OFFSET,
    TOKEN_PROGRAMS,
    is_mint,
    is_token_account,
    mint,
    token_account,
)

LARGEST_MAX = 20


class TokenMethods:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._bank = node.bank

    @rpc("getTokenAccountsByOwner")
    def get_token_accounts_by_owner(
        self, owner: Pubkey, token_filter: TokenFilter, config: AccountConfig | None = None
    ) -> object:
        if (token_filter.mint is None) == (token_filter.program_id is None):
            raise RpcError(INVALID_PARAMS, "Invalid params: the filter is a mint or a programId")
        if token_filter.program_id is not None and token_filter.program_id not in TOKEN_PROGRAMS:
            raise RpcError(INVALID_PARAMS, "Invalid param: unrecognized Token program id")
        read = config or AccountConfig()
        slot = slot_of(self._node.blocks, config)
        programs = TOKEN_PROGRAMS if token_filter.program_id is None else [token_filter.program_id]
        found = []
        for program in programs:
            for address, account in self._token_accounts(program, slot, OWNER_OFFSET, owner):
                if token_filter.mint in (None, token_account(account.data).mint):
                    written = account_json(self._bank, account, read.encoding, read.data_slice)
                    found.append({"pubkey": str(address), "account": written})
        return with_context(slot, found)

    @rpc("getTokenAccountBalance")
    def get_token_account_balance(self, address: Pubkey, config: Config | None = None) -> object:
        slot = slot_of(self._node.blocks, config)
        account = self._bank.account(address, slot)
        if account is None or not is_token_account(account.owner, account.data):
            raise RpcError(INVALID_PARAMS, "Invalid param: could not find account")
        token = token_account(account.data)
        return with_context(slot, amount_json(token.amount, self._bank.decimals(token.mint)))

    @rpc("getTokenSupply")
    def get_token_supply(self, address: Pubkey, config: Config | None = None) -> object:
        slot = slot_of(self._node.blocks, config)
        parsed = mint(self._mint(address, slot).data)
        return with_context(slot, amount_json(parsed.supply, parsed.decimals))

    @rpc("getTokenLargestAccounts")
    def get_token_largest_accounts(self, address: Pubkey, config: Config | None = None) -> object:
        slot = slot_of(self._node.blocks, config)
        account = self._mint(address, slot)
        decimals = mint(account.data).decimals
        amounts = [
            (token_account(one.data).amount, holder)
            for holder, one in self._token_accounts(account.owner, slot, MINT_OFFSET, address)
        ]
        largest = sorted(amounts, key=lambda one: one[0], reverse=True)[:LARGEST_MAX]
        return with_context(
            slot, [{"address": str(holder), **amount_json(amount, decimals)} for amount, holder in largest]
        )

    def _mint(self, address: Pubkey, slot: int) -> Account:
        account = self._bank.account(address, slot)
        if account is None or not is_mint(account.owner, account.data):
            raise RpcError(INVALID_PARAMS, "Invalid param: not a Token mint")
        return account

    def _token_accounts(self, program: Pubkey, slot: int, offset: int, value: Pubkey) -> list[tuple[Pubkey, Account]]:
        wanted = bytes(value)
        found = []
        for address in self._bank.candidates(program, slot, offset, wanted):
            account = self._bank.account(address, slot)
            if account is None or account.owner != program:
                continue
            data = account.data
            if is_token_account(program, data) and data[offset : offset + len(wanted)] == wanted:
                found.append((address, account))
        return found
