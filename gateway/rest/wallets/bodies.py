"""What clients send about wallets, and what they get. Addresses and signatures are base58, bytes base64."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.ids import id_text
from persistence.wallets.cards import CardWithdrawal
from persistence.wallets.deposits import Deposit
from persistence.wallets.links import Challenge, LinkedWallet

Address = Annotated[str, Field(min_length=32, max_length=44, pattern="^[1-9A-HJ-NP-Za-km-z]+$")]
SignatureText = Annotated[str, Field(min_length=64, max_length=88, pattern="^[1-9A-HJ-NP-Za-km-z]+$")]
# 2,048 bytes.
MessageText = Annotated[str, Field(min_length=4, max_length=2_732, pattern="^[A-Za-z0-9+/]+={0,2}$")]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class NewChallenge(_Body):
    """The address of the wallet that is to be linked."""

    address: Address


class NewLink(_Body):
    """What the wallet returned: the exact bytes that it signed, and its signature over them."""

    address: Address
    message: MessageText
    signature: SignatureText


class SignInInput(BaseModel):
    """The input of a wallet's `signIn`, as the Wallet Standard names its fields."""

    domain: str
    address: str
    statement: str
    uri: str
    version: str
    chainId: str | None = None
    nonce: str
    issuedAt: str
    expirationTime: str


class ChallengeItem(BaseModel):
    """For `signIn(input)`, or `signMessage` of `message` in UTF-8. Good once, until `expires_at`."""

    nonce: str
    message: str
    input: SignInInput
    expires_at: int


class LinkItem(BaseModel):
    """An outside wallet."""

    address: str
    linked_at: int


class CustodialItem(BaseModel):
    """One's wallet here. The engine holds its key. ``deposit_uri`` is the text of a QR code (Solana Pay).

    ``token_account`` is where USDC arrives; null: no money moves on chain.
    """

    address: str
    token_account: str | None
    deposit_uri: str


class WalletList(BaseModel):
    """One's wallets."""

    custodial: CustodialItem
    links: list[LinkItem]


class DepositItem(BaseModel):
    """Money that arrived on chain and is in the ledger."""

    id: str
    amount: int
    currency: str
    signature: str
    slot: int
    at: int


class DepositPage(BaseModel):
    """A page of deposits, the newest first."""

    items: list[DepositItem]
    next_cursor: str | None


class CardDestination(_Body):
    """Where a card goes: the address of a wallet."""

    address: Address


class CardWithdrawalItem(BaseModel):
    """A card that leaves custody."""

    id: str
    copy_id: Annotated[str, Field(alias="copy")]
    address: str
    state: Literal["sending", "sent", "failed"]
    requested_at: int
    finished_at: int | None
    signature: str | None
    reason: str | None


class CardWithdrawalPage(BaseModel):
    """A page of withdrawals of cards, the newest first."""

    items: list[CardWithdrawalItem]
    next_cursor: str | None


def deposit_json(deposit: Deposit) -> dict[str, Any]:
    """A DepositItem."""
    names = ("amount", "currency", "signature", "slot", "at")
    return {"id": id_text(deposit.id), **{name: getattr(deposit, name) for name in names}}


def card_withdrawal_json(withdrawal: CardWithdrawal) -> dict[str, Any]:
    """A CardWithdrawalItem."""
    names = ("address", "state", "requested_at", "finished_at", "signature", "reason")
    shown = {name: getattr(withdrawal, name) for name in names}
    return {"id": id_text(withdrawal.id), "copy": id_text(withdrawal.copy), **shown}


def link_json(link: LinkedWallet) -> dict[str, Any]:
    """A linked wallet, for its owner."""
    return {"address": link.address, "linked_at": link.linked_at}


def challenge_json(challenge: Challenge, fields: dict[str, str]) -> dict[str, Any]:
    """A challenge, for the one who asked for it."""
    return {
        "nonce": challenge.nonce,
        "message": challenge.message,
        "input": fields,
        "expires_at": challenge.expires_at,
    }
