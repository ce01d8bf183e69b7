"""Durable nonces: an account whose value stands in for a blockhash, so that signatures stay good until it is used.

A transaction with a nonce advances it first, also if it fails then. Advancing it alone ends every transaction that was
signed for its value.
"""

import struct
from dataclasses import dataclass
from hashlib import sha256

from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import (
    AdvanceNonceAccountParams,
    CreateAccountWithSeedParams,
    InitializeNonceAccountParams,
    WithdrawNonceAccountParams,
    advance_nonce_account,
    create_account_with_seed,
    initialize_nonce_account,
    withdraw_nonce_account,
)

from chain.bundle import Bundle
from chain.programs.addresses import SYSTEM

NONCE_BYTES = 80
_SEED_CHARACTERS = 32
_LAYOUT = struct.Struct("<II32s32sQ")
_CURRENT, _INITIALIZED = 1, 1
_UNITS = 2_000


class NotANonce(ValueError):
    """These bytes are not an initialised nonce account."""


@dataclass(frozen=True, slots=True)
class NonceAccount:
    """``value`` is what a transaction has in the place of its blockhash."""

    authority: Pubkey
    value: Hash


@dataclass(frozen=True, slots=True)
class Nonce:
    """A nonce at one value."""

    address: Pubkey
    account: NonceAccount

    def advance(self) -> Instruction:
        """The first instruction of a transaction with this nonce."""
        return advance_nonce_account(
            AdvanceNonceAccountParams(nonce_pubkey=self.address, authorized_pubkey=self.account.authority)
        )


def nonce_address(base: Pubkey, key: str) -> Pubkey:
    """Where the nonce of this key is: one for each."""
    return Pubkey.create_with_seed(base, _seed(key), SYSTEM)


def create_nonce(payer: Pubkey, base: Pubkey, key: str, authority: Pubkey, lamports: int) -> Bundle:
    """Create it; ``lamports``: the rent of NONCE_BYTES."""
    address = nonce_address(base, key)
    create = create_account_with_seed(
        CreateAccountWithSeedParams(
            from_pubkey=payer, to_pubkey=address, base=base, seed=_seed(key), lamports=lamports, space=NONCE_BYTES,
            owner=SYSTEM,
        )
    )  # fmt: skip
    begin = initialize_nonce_account(InitializeNonceAccountParams(nonce_pubkey=address, authority=authority))
    return Bundle((create, begin), frozenset([base]), 2, 2 * _UNITS)


def advance_nonce(address: Pubkey, authority: Pubkey) -> Bundle:
    """Give it a new value: what was signed for the old one can't land any more."""
    instruction = advance_nonce_account(AdvanceNonceAccountParams(nonce_pubkey=address, authorized_pubkey=authority))
    return Bundle((instruction,), frozenset([authority]), 1, _UNITS)


def withdraw_nonce(address: Pubkey, authority: Pubkey, to: Pubkey, lamports: int) -> Bundle:
    """Take its rent back; with all of its lamports this removes it."""
    instruction = withdraw_nonce_account(
        WithdrawNonceAccountParams(nonce_pubkey=address, authorized_pubkey=authority, to_pubkey=to, lamports=lamports)
    )
    return Bundle((instruction,), frozenset([authority]), 1, _UNITS)


def parse_nonce(data: bytes) -> NonceAccount:
    """The nonce in the data of its account. Raises NotANonce."""
    if len(data) != NONCE_BYTES:
        raise NotANonce(f"{len(data)} bytes")
    version, state, authority, value, _ = _LAYOUT.unpack(data)
    if (version, state) != (_CURRENT, _INITIALIZED):
        raise NotANonce("it is not initialised")
    return NonceAccount(Pubkey.from_bytes(authority), Hash.from_bytes(value))


def _seed(key: str) -> str:
    return sha256(f"nonce:{key}".encode()).hexdigest()[:_SEED_CHARACTERS]
