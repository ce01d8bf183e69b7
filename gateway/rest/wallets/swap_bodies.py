"""What clients send about swaps, and what they get. Addresses and signatures are base58, bytes base64."""

from base64 import b64encode
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chain.transactions.cosigned import stored_message
from domain.ids import id_text
from domain.ledger.currencies import AMOUNT_MAX
from domain.sales.swaps import COPIES_MAX, CardLeg, SwapLeg
from gateway.rest.wallets.bodies import Address, SignatureText
from persistence.wallets.swap_rows import Swap

DURATION_MIN_MS, DURATION_DEFAULT_MS, DURATION_MAX_MS = 60_000, 86_400_000, 604_800_000
# 4,096 bytes.
TransactionText = Annotated[str, Field(min_length=4, max_length=5_464, pattern="^[A-Za-z0-9+/]+={0,2}$")]
State = Literal["preparing", "open", "signed", "sent", "done", "failed", "cancelled", "expired"]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Given(_Body):
    """What one side gives: minted copies that its wallet holds, and base units of USDC."""

    wallet: Address
    copies: Annotated[list[str], Field(max_length=COPIES_MAX)] = []
    pays: Annotated[int, Field(ge=0, le=AMOUNT_MAX)] = 0


class NewSwapBody(_Body):
    """`gives` is the caller's side, with a wallet of theirs; `takes` that of `counterparty`, a username."""

    counterparty: Annotated[str, Field(min_length=1, max_length=64)]
    gives: Given
    takes: Given
    duration_ms: Annotated[int, Field(ge=DURATION_MIN_MS, le=DURATION_MAX_MS)] = DURATION_DEFAULT_MS


class NewSignature(_Body):
    """One of the two: the wallet's signature over `message`, or the whole `transaction` that the wallet has signed."""

    signature: SignatureText | None = None
    transaction: TransactionText | None = None


class Party(BaseModel):
    """One side, and whether its wallet has signed."""

    user: str
    wallet: str
    signed: bool


class CardLegItem(BaseModel):
    """A card changes wallets. `price`: its share of what is paid, 0 if nothing is."""

    kind: Literal["card"]
    copy_id: Annotated[str, Field(alias="copy")]
    asset: str
    giver: str
    taker: str
    price: int


class PaymentLegItem(BaseModel):
    """USDC in base units."""

    kind: Literal["payment"]
    purpose: Literal["sale", "fee", "royalty"]
    amount: int
    giver: str
    taker: str


class SwapPreview(BaseModel):
    """What a swap would move."""

    legs: list[CardLegItem | PaymentLegItem]


class SwapItem(BaseModel):
    """A swap. `message` and `transaction` (the same with empty signatures) are null until both can sign.

    `signature` is that of the transaction, once it is sent.
    """

    id: str
    state: State
    proposer: Party
    counterparty: Party
    legs: list[CardLegItem | PaymentLegItem]
    message: str | None
    transaction: str | None
    created_at: int
    expires_at: int
    ended_at: int | None
    signature: str | None
    reason: str | None


class SwapPage(BaseModel):
    """A page of swaps, the newest first."""

    items: list[SwapItem]
    next_cursor: str | None


def swap_json(swap: Swap) -> dict[str, Any]:
    """A SwapItem."""
    parties = [
        {"user": name, "wallet": wallet, "signed": signature is not None}
        for name, wallet, signature in zip(swap.names, swap.wallets, swap.signatures, strict=True)
    ]
    message = swap.message
    return {
        "id": id_text(swap.id),
        "state": swap.state,
        "proposer": parties[0],
        "counterparty": parties[1],
        "legs": [leg_json(leg) for leg in swap.legs],
        "message": None if message is None else b64encode(message).decode(),
        "transaction": None if message is None else b64encode(stored_message(message).unsigned()).decode(),
        **{name: getattr(swap, name) for name in ("created_at", "expires_at", "ended_at", "signature", "reason")},
    }


def leg_json(leg: SwapLeg) -> dict[str, Any]:
    """A CardLegItem or PaymentLegItem."""
    ends = {"giver": leg.giver, "taker": leg.taker}
    if isinstance(leg, CardLeg):
        return {"kind": "card", "copy": id_text(leg.copy), "asset": leg.asset, **ends, "price": leg.price}
    return {"kind": "payment", "purpose": leg.purpose, "amount": leg.amount, **ends}
