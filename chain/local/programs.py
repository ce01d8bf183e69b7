"""Addresses of programs and the layouts of their accounts, as far as the local chain reads them."""

from dataclasses import dataclass

from solders.pubkey import Pubkey

SYSTEM = Pubkey.from_string("11111111111111111111111111111111")
TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_TOKEN = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
METAPLEX_CORE = Pubkey.from_string("CoREENxT6tW1HoK8ypY1SxRMZTcVPm7R94rH4PZNhX7d")
COMPUTE_BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")

TOKEN_PROGRAMS = {TOKEN: "spl-token", TOKEN_2022: "spl-token-2022"}
MINT_BYTES, DECIMALS_OFFSET = 82, 44
TOKEN_ACCOUNT_BYTES = 165
# Where Token-2022 says what an account with extensions is, and what it says there.
ACCOUNT_TYPE_OFFSET = 165
TYPE_MINT, TYPE_ACCOUNT = 1, 2
MINT_OFFSET, OWNER_OFFSET = 0, 32
CORE_OWNER_OFFSET, CORE_UPDATE_AUTHORITY_OFFSET = 1, 34
STATES = ("uninitialized", "initialized", "frozen")

# Of accounts that are exempt from rent: all that there are.
RENT_EPOCH_NEVER = 2**64 - 1

NONCE_BYTES = 80
NONCE_STATE_OFFSET, NONCE_VALUE_OFFSET = 4, 40
ADVANCE_NONCE = (4).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """A balance of one mint."""

    mint: Pubkey
    owner: Pubkey
    amount: int
    delegate: Pubkey | None
    state: str
    native_reserve: int | None
    delegated_amount: int
    close_authority: Pubkey | None


@dataclass(frozen=True, slots=True)
class Mint:
    """A token or an NFT."""

    authority: Pubkey | None
    supply: int
    decimals: int
    initialized: bool
    freeze_authority: Pubkey | None


def is_token_account(program: Pubkey, data: bytes) -> bool:
    """Whether a token program reads these data as a balance."""
    if program not in TOKEN_PROGRAMS or len(data) < TOKEN_ACCOUNT_BYTES:
        return False
    return len(data) == TOKEN_ACCOUNT_BYTES or (program == TOKEN_2022 and data[ACCOUNT_TYPE_OFFSET] == TYPE_ACCOUNT)


def is_mint(program: Pubkey, data: bytes) -> bool:
    """Whether a token program reads these data as a mint."""
    if program not in TOKEN_PROGRAMS or len(data) < MINT_BYTES:
        return False
    extended = program == TOKEN_2022 and len(data) > ACCOUNT_TYPE_OFFSET and data[ACCOUNT_TYPE_OFFSET] == TYPE_MINT
    return len(data) == MINT_BYTES or extended


def token_account(data: bytes) -> TokenAccount:
    """The balance in the data of a token account."""
    native = _number(data, 113) if data[109] else None
    return TokenAccount(
        Pubkey(data[:32]),
        Pubkey(data[32:64]),
        _number(data, 64),
        _optional(data, 72),
        STATES[min(data[108], 2)],
        native,
        _number(data, 121),
        _optional(data, 129),
    )


def mint(data: bytes) -> Mint:
    """The mint in the data of its account."""
    return Mint(_optional(data, 0), _number(data, 36), data[DECIMALS_OFFSET], bool(data[45]), _optional(data, 46))


def mint_data(authority: Pubkey, decimals: int) -> bytes:
    """The data of an initialised mint of the classic token program, without a supply or a freeze authority."""
    return b"\1\0\0\0" + bytes(authority) + bytes(8) + bytes([decimals, 1]) + bytes(36)


def associated_token_address(owner: Pubkey, mint_address: Pubkey, program: Pubkey = TOKEN) -> Pubkey:
    """Where a wallet holds its balance of a mint."""
    seeds = [bytes(owner), bytes(program), bytes(mint_address)]
    return Pubkey.find_program_address(seeds, ASSOCIATED_TOKEN)[0]


def _number(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 8], "little")


def _optional(data: bytes, offset: int) -> Pubkey | None:
    present = data[offset : offset + 4] != bytes(4)
    return Pubkey(data[offset + 4 : offset + 36]) if present else None
