"""What both token programs, SPL Token and Token-2022, have in common."""

import struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chain.programs.addresses import ASSOCIATED_TOKEN, SYSTEM, token_account_of

ACCOUNT_BYTES = 165
AMOUNT_OFFSET, OWNER_OFFSET = 64, 32
_CREATE_IDEMPOTENT = b"\1"
_SET_AUTHORITY, _MINT_TO, _CLOSE, _TRANSFER_CHECKED, _INITIALIZE_MINT = 6, 7, 9, 12, 20
_MINT_TOKENS = 0


def create_token_account(payer: Pubkey, owner: Pubkey, mint: Pubkey, program: Pubkey) -> Instruction:
    """Create the associated token account of this owner, unless there is one."""
    accounts = [
        AccountMeta(payer, True, True),
        AccountMeta(token_account_of(owner, mint, program), False, True),
        AccountMeta(owner, False, False),
        AccountMeta(mint, False, False),
        AccountMeta(SYSTEM, False, False),
        AccountMeta(program, False, False),
    ]
    return Instruction(ASSOCIATED_TOKEN, _CREATE_IDEMPOTENT, accounts)


def initialize_mint(mint: Pubkey, authority: Pubkey, decimals: int, program: Pubkey) -> Instruction:
    """A mint without a freeze authority."""
    data = bytes([_INITIALIZE_MINT, decimals]) + bytes(authority) + b"\0"
    return Instruction(program, data, [AccountMeta(mint, False, True)])


def mint_to(mint: Pubkey, account: Pubkey, authority: Pubkey, amount: int, program: Pubkey) -> Instruction:
    """New tokens for this token account."""
    data = struct.pack("<BQ", _MINT_TO, amount)
    accounts = [AccountMeta(mint, False, True), AccountMeta(account, False, True), AccountMeta(authority, True, False)]
    return Instruction(program, data, accounts)


def revoke_mint_authority(mint: Pubkey, authority: Pubkey, program: Pubkey) -> Instruction:
    """Nobody can mint any more."""
    data = bytes([_SET_AUTHORITY, _MINT_TOKENS, 0])
    return Instruction(program, data, [AccountMeta(mint, False, True), AccountMeta(authority, True, False)])


def transfer_checked(
    source: Pubkey, mint: Pubkey, destination: Pubkey, owner: Pubkey, amount: int, decimals: int, program: Pubkey
) -> Instruction:
    """Move tokens between token accounts of a mint with these decimals."""
    data = struct.pack("<BQB", _TRANSFER_CHECKED, amount, decimals)
    accounts = [
        AccountMeta(source, False, True),
        AccountMeta(mint, False, False),
        AccountMeta(destination, False, True),
        AccountMeta(owner, True, False),
    ]
    return Instruction(program, data, accounts)


def close_account(account: Pubkey, destination: Pubkey, owner: Pubkey, program: Pubkey) -> Instruction:
    """Close an empty token account; its rent goes to ``destination``."""
    accounts = [
        AccountMeta(account, False, True), AccountMeta(destination, False, True), AccountMeta(owner, True, False),
    ]  # fmt: skip
    return Instruction(program, bytes([_CLOSE]), accounts)
