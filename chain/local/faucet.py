"""Transactions that hand out SOL and USDC. Like any other they land in a block and are in the history."""

import random
from itertools import count

from solders.compute_budget import set_compute_unit_limit
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from chain.local.programs import ASSOCIATED_TOKEN, SYSTEM, TOKEN, associated_token_address
from chain.local.state.keys import LocalKeys

UNITS, UNITS_SPREAD = 100_000, 1_000_000
CREATE_IDEMPOTENT, MINT_TO = b"\1", b"\7"


class Faucet:
    """Two equal requests with one blockhash would be one transaction, so each has another compute limit."""

    def __init__(self, keys: LocalKeys) -> None:
        self._keys = keys
        self._numbers = count(random.randrange(UNITS_SPREAD))

    @property
    def usdc_mint(self) -> Pubkey:
        return self._keys.usdc_mint.pubkey()

    def lamports(self, owner: Pubkey, amount: int, blockhash: Hash) -> bytes:
        """A transfer of SOL."""
        payer = self._keys.faucet
        instruction = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=owner, lamports=amount))
        return self._signed([instruction], blockhash, [payer])

    def usdc(self, owner: Pubkey, amount: int, blockhash: Hash) -> bytes:
        """New USDC for a wallet, whose token account is made if it has none."""
        payer, authority, mint = self._keys.faucet, self._keys.usdc_authority, self.usdc_mint
        account = associated_token_address(owner, mint)
        create = Instruction(
            ASSOCIATED_TOKEN,
            CREATE_IDEMPOTENT,
            [
                AccountMeta(payer.pubkey(), True, True),
                AccountMeta(account, False, True),
                AccountMeta(owner, False, False),
                AccountMeta(mint, False, False),
                AccountMeta(SYSTEM, False, False),
                AccountMeta(TOKEN, False, False),
            ],
        )
        mint_to = Instruction(
            TOKEN,
            MINT_TO + amount.to_bytes(8, "little"),
            [
                AccountMeta(mint, False, True),
                AccountMeta(account, False, True),
                AccountMeta(authority.pubkey(), True, False),
            ],
        )
        return self._signed([create, mint_to], blockhash, [payer, authority])

    def _signed(self, instructions: list[Instruction], blockhash: Hash, signers: list[Keypair]) -> bytes:
        unique = set_compute_unit_limit(UNITS + next(self._numbers) % UNITS_SPREAD)
        message = MessageV0.try_compile(signers[0].pubkey(), [unique, *instructions], [], blockhash)
        return bytes(VersionedTransaction(message, signers))
