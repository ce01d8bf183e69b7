"""A trade of two owners as one transaction: all legs happen, or none of them.

Legs are assets, SOL and tokens. Royalties and fees are payments like others: if one fails, the whole trade does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from chain.bundle import Bundle, joined
from chain.programs import tokens
from chain.programs.addresses import TOKEN, token_account_of
from chain.standards.standard import BASIS_POINTS_MAX, Standard
from chain.transactions.packing import pack

# Each leg is at least that.
LEGS_MAX = 32
_LAMPORT_UNITS, _TOKEN_UNITS = 1_000, 45_000
# The token account of the receiver may have to be created.
_TOKEN_TRACE = 8
AMOUNT_MAX = 2**64 - 1


class InvalidSwap(ValueError):
    """These legs are no trade between two owners."""


@dataclass(frozen=True, slots=True)
class AssetLeg:
    """``asset`` goes from ``giver`` to ``taker``."""

    standard: Standard
    asset: Pubkey
    collection: Pubkey | None
    giver: Pubkey
    taker: Pubkey


@dataclass(frozen=True, slots=True)
class LamportLeg:
    """SOL."""

    giver: Pubkey
    taker: Pubkey
    lamports: int


@dataclass(frozen=True, slots=True)
class TokenLeg:
    """Base units of a token of the classic program, such as USDC."""

    mint: Pubkey
    decimals: int
    giver: Pubkey
    taker: Pubkey
    amount: int


Leg = AssetLeg | LamportLeg | TokenLeg


def swap(payer: Pubkey, owners: tuple[Pubkey, Pubkey], legs: Sequence[Leg], version: int) -> Bundle:
    """One bundle of all legs. Only the two owners give. Raises InvalidSwap, TooLarge.

    ``payer`` pays fees, and the rent of accounts that receivers need.
    """
    _check(payer, owners, legs)
    whole = joined([leg_bundle(payer, leg) for leg in legs])
    pack(payer, [whole], [1], version)
    return whole


def payments(
    buyer: Pubkey, seller: Pubkey, royalties: tuple[Pubkey, int], fee: tuple[Pubkey, int], price: int
) -> list[tuple[Pubkey, int]]:
    """Who gets how much of a price, in base units: shares in basis points are rounded down, the seller gets the rest.

    The sum is the price, less a share of the buyer's own, which is not paid. Raises InvalidSwap if the shares are more
    than all.
    """
    if price <= 0 or royalties[1] < 0 or fee[1] < 0 or royalties[1] + fee[1] > BASIS_POINTS_MAX:
        raise InvalidSwap("the shares of a price are more than the price")
    shares = [(to, price * points // BASIS_POINTS_MAX) for to, points in (royalties, fee)]
    paid = [(seller, price - sum(amount for _, amount in shares)), *shares]
    return [(to, amount) for to, amount in paid if amount > 0 and to != buyer]


def _check(payer: Pubkey, owners: tuple[Pubkey, Pubkey], legs: Sequence[Leg]) -> None:
    if owners[0] == owners[1] or payer in owners:
        raise InvalidSwap("a trade has two owners, and neither of them pays the fees")
    if not 0 < len(legs) <= LEGS_MAX:
        raise InvalidSwap(f"a trade has 1 to {LEGS_MAX} legs")
    assets = [leg.asset for leg in legs if isinstance(leg, AssetLeg)]
    if len(set(assets)) < len(assets):
        raise InvalidSwap("an asset is in it twice")
    for leg in legs:
        if leg.giver not in owners or leg.giver == leg.taker:
            raise InvalidSwap("each leg is from one of the owners to another wallet")
        if isinstance(leg, AssetLeg):
            if leg.taker not in owners:
                raise InvalidSwap("an asset goes from one owner to the other")
        elif not 0 < (leg.lamports if isinstance(leg, LamportLeg) else leg.amount) <= AMOUNT_MAX:
            raise InvalidSwap("an amount is out of range")


def leg_bundle(payer: Pubkey, leg: Leg) -> Bundle:
    """The instructions of one leg. ``payer`` pays for the account that the taker may need."""
    match leg:
        case AssetLeg(standard, asset, collection, giver, taker):
            return standard.transfer(payer, asset, collection, giver, taker)
        case LamportLeg(giver, taker, lamports):
            instruction = transfer(TransferParams(from_pubkey=giver, to_pubkey=taker, lamports=lamports))
            return Bundle((instruction,), frozenset([giver]), 1, _LAMPORT_UNITS)
        case TokenLeg(mint, decimals, giver, taker, amount):
            source, target = (token_account_of(one, mint, TOKEN) for one in (giver, taker))
            instructions = (
                tokens.create_token_account(payer, taker, mint, TOKEN),
                tokens.transfer_checked(source, mint, target, giver, amount, decimals, TOKEN),
            )
            return Bundle(instructions, frozenset([giver]), _TOKEN_TRACE, _TOKEN_UNITS)
