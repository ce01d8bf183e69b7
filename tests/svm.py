"""An SVM in this process, with real programs: transactions are executed at once, each with a blockhash of its own."""

import os
from collections.abc import Sequence
from pathlib import Path

from solders.hash import Hash
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account
from solders.transaction import VersionedTransaction

from chain.bundle import Bundle
from chain.programs import tokens
from chain.programs.addresses import TOKEN, token_account_of
from chain.programs.metaplex import MPL_CORE
from chain.rpc.answers import RecentBlockhash
from chain.transactions.building import Fee, compiled
from chain.transactions.packing import COMPUTE_UNITS_MAX

SOL = 10**9
CORE_BINARY = "ECE_MPL_CORE_SO"


class Failed(Exception):
    """A transaction failed; with its logs."""


class Svm:
    """``payer`` and ``authority`` have SOL."""

    def __init__(self) -> None:
        self.svm = LiteSVM()
        self.payer, self.authority = self.funded(), self.funded()
        self.units = 0

    def with_core(self) -> "Svm":
        """With the program of Metaplex Core; only where its binary is named."""
        self.svm.add_program_from_file(MPL_CORE, Path(os.environ[CORE_BINARY]))
        return self

    def funded(self, lamports: int = 100 * SOL) -> Keypair:
        keypair = Keypair()
        self.svm.airdrop(keypair.pubkey(), lamports)
        return keypair

    def rent(self, size: int) -> int:
        return int(self.svm.minimum_balance_for_rent_exemption(size))

    def blockhash(self) -> Hash:
        self.svm.expire_blockhash()
        return self.svm.latest_blockhash()

    def run(self, bundles: Sequence[Bundle], *signers: Keypair, version: int = 1) -> int:
        """The compute units that it used. Raises Failed."""
        blockhash = RecentBlockhash(self.blockhash(), 0)
        message = compiled(self.payer.pubkey(), bundles, blockhash, Fee(COMPUTE_UNITS_MAX), version)
        return self.execute(self.signed(message, *signers))

    def signed(self, message: MessageV0 | MessageV1, *signers: Keypair) -> bytes:
        keys = {one.pubkey(): one for one in (self.payer, self.authority, *signers)}
        wanted = message.account_keys[: message.header.num_required_signatures]
        return bytes(VersionedTransaction(message, [keys[one] for one in wanted]))

    def execute(self, raw: bytes) -> int:
        result = self.svm.send_transaction(VersionedTransaction.from_bytes(raw))
        if not hasattr(result, "compute_units_consumed"):
            raise Failed(f"{result.err()}", *result.meta().logs())
        self.units = int(result.compute_units_consumed())
        return self.units

    def data(self, address: Pubkey) -> bytes | None:
        account = self.svm.get_account(address)
        return None if account is None else bytes(account.data)

    def lamports(self, address: Pubkey) -> int:
        return int(self.svm.get_balance(address) or 0)

    # A token such as USDC

    def new_token(self, decimals: int = 6) -> Pubkey:
        mint = Keypair()
        create = create_account(
            CreateAccountParams(
                from_pubkey=self.payer.pubkey(), to_pubkey=mint.pubkey(), lamports=self.rent(82), space=82, owner=TOKEN
            )
        )
        begin = tokens.initialize_mint(mint.pubkey(), self.authority.pubkey(), decimals, TOKEN)
        self.run([Bundle((create, begin), frozenset([mint.pubkey()]), 2, 10_000)], mint)
        return mint.pubkey()

    def give_tokens(self, mint: Pubkey, owner: Pubkey, amount: int) -> None:
        account = token_account_of(owner, mint, TOKEN)
        authority = self.authority.pubkey()
        create = tokens.create_token_account(self.payer.pubkey(), owner, mint, TOKEN)
        give = tokens.mint_to(mint, account, authority, amount, TOKEN)
        self.run([Bundle((create, give), frozenset([authority]), 9, 50_000)])

    def tokens_of(self, mint: Pubkey, owner: Pubkey) -> int:
        data = self.data(token_account_of(owner, mint, TOKEN))
        return 0 if not data else int.from_bytes(data[64:72], "little")
