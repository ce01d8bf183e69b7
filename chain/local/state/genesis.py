"""How a local chain begins: a rich faucet, the mint of USDC, and programs that the operator names."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from solders.account import Account
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

from chain.local.errors import StartFailed
from chain.local.programs import MINT_BYTES, RENT_EPOCH_NEVER, SYSTEM, TOKEN, mint_data
from chain.local.state.keys import LocalKeys
from chain.local.state.store import Position

# Slot and height differ from the first block on, as they do on every public cluster.
FIRST_SLOT, FIRST_HEIGHT = 64, 1
FAUCET_LAMPORTS = 500_000_000 * 10**9
USDC_DECIMALS = 6


def genesis_position() -> Position:
    """The first block of a new chain, of which there is no second one."""
    return Position(os.urandom(32), FIRST_SLOT, FIRST_HEIGHT, 0)


def genesis_accounts(keys: LocalKeys, svm: LiteSVM) -> Iterator[tuple[Pubkey, Account]]:
    """What exists before the first transaction."""
    yield keys.faucet.pubkey(), Account(FAUCET_LAMPORTS, b"", SYSTEM, False, RENT_EPOCH_NEVER)
    data = mint_data(keys.usdc_authority.pubkey(), USDC_DECIMALS)
    lamports = svm.minimum_balance_for_rent_exemption(MINT_BYTES)
    yield keys.usdc_mint.pubkey(), Account(lamports, data, TOKEN, False, RENT_EPOCH_NEVER)


def add_programs(svm: LiteSVM, programs: Mapping[Pubkey, Path]) -> None:
    """Load programs from files, at every start. Raises StartFailed."""
    for address, path in programs.items():
        try:
            svm.add_program_from_file(address, path)
        except Exception as error:
            raise StartFailed(f"the program {path} can't be loaded: {error}") from error
