"""Addresses that users give: what they may be, and why not."""

from collections.abc import Collection
from enum import StrEnum

from solders.pubkey import Pubkey

ADDRESS_LENGTH_MIN = 32
ADDRESS_LENGTH_MAX = 44

# Programs and system variables that are points of the curve by accident.
_RESERVED = frozenset(
    Pubkey.from_string(text)
    for text in (
        "11111111111111111111111111111111",
        "1nc1nerator11111111111111111111111111111111",
        "ComputeBudget111111111111111111111111111111",
        "Vote111111111111111111111111111111111111111",
        "Stake11111111111111111111111111111111111111",
        "Config1111111111111111111111111111111111111",
        "Ed25519SigVerify111111111111111111111111111",
        "KeccakSecp256k11111111111111111111111111111",
        "BPFLoader1111111111111111111111111111111111",
        "BPFLoader2111111111111111111111111111111111",
        "BPFLoaderUpgradeab1e11111111111111111111111",
        "NativeLoader1111111111111111111111111111111",
        "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb",
        "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL",
        "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr",
        "CoREENxT6tW1HoK8ypY1SxRMZTcVPm7R94rH4PZNhX7d",
        "metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s",
    )
)


class Reason(StrEnum):
    """Why an address can't be a destination."""

    NOT_AN_ADDRESS = "not_an_address"
    NO_WALLET = "no_wallet"
    PROGRAM = "program"
    MINT = "mint"
    TOKEN_ACCOUNT = "token_account"
    OWN = "own"
    OTHER_ACCOUNT = "other_account"


EXPLANATIONS = {
    Reason.NOT_AN_ADDRESS: "this is not an address: 32 bytes in base58",
    Reason.NO_WALLET: "no wallet has this address: it belongs to a program, which may not be able to send on",
    Reason.PROGRAM: "this is the address of a program",
    Reason.MINT: "this is the address of a mint",
    Reason.TOKEN_ACCOUNT: "this is a token account: give the address of its wallet",
    Reason.OWN: "this is an address of this platform",
    Reason.OTHER_ACCOUNT: "this account belongs to a program: give the address of a wallet",
}


class InvalidAddress(ValueError):
    """The address can't be a destination; ``reason`` is stable, the message explains it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(EXPLANATIONS[reason])
        self.reason = reason


def parse_address(text: str) -> Pubkey:
    """The address in a text: base58 of 32 bytes. Raises InvalidAddress."""
    if not ADDRESS_LENGTH_MIN <= len(text) <= ADDRESS_LENGTH_MAX or not text.isascii():
        raise InvalidAddress(Reason.NOT_AN_ADDRESS)
    try:
        address = Pubkey.from_string(text)
    except ValueError:
        raise InvalidAddress(Reason.NOT_AN_ADDRESS) from None
    if str(address) != text:
        raise InvalidAddress(Reason.NOT_AN_ADDRESS)
    return address


def wallet_address(text: str, own: Collection[Pubkey] = (), mints: Collection[Pubkey] = ()) -> Pubkey:
    """The address of a wallet that may be a destination, as far as it shows without the chain. Raises InvalidAddress.

    ``own`` are addresses of the platform. An address that is no point of the curve has no key: it is a program's.
    """
    address = parse_address(text)
    if address in _RESERVED:
        raise InvalidAddress(Reason.PROGRAM)
    if address in mints:
        raise InvalidAddress(Reason.MINT)
    if address in own:
        raise InvalidAddress(Reason.OWN)
    if not address.is_on_curve():
        raise InvalidAddress(Reason.NO_WALLET)
    return address
