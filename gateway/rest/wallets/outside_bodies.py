"""What clients send about deposits from outside wallets, and what they get. Addresses are base58, bytes base64."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.ledger.currencies import AMOUNT_MAX
from gateway.rest.wallets.bodies import Address
from gateway.rest.wallets.swap_bodies import TransactionText


class OutsideDeposit(BaseModel):
    """What a linked wallet sends into custody: either `amount`, base units of USDC, or `copy`, a withdrawn copy."""

    model_config = ConfigDict(strict=True, extra="forbid")

    wallet: Address
    amount: Annotated[int, Field(ge=1, le=AMOUNT_MAX)] | None = None
    copy_id: Annotated[str | None, Field(alias="copy", max_length=32)] = None


class SignedOutsideDeposit(OutsideDeposit):
    """The same, with the transaction as the wallet has signed it."""

    transaction: TransactionText


class PreparedDepositItem(BaseModel):
    """For the wallet to sign. It pays `fee` and `rent`, in lamports. `destination` is one's custodial wallet.

    `chain` is that of the Wallet Standard, such as `solana:mainnet`; null: unknown.
    """

    wallet: str
    destination: str
    transaction: str
    fee: int
    rent: int
    chain: str | None


class SentDepositItem(BaseModel):
    """How the transaction stands. `final`: it counts. `failed` (with `reason`) and `expired`: nothing has moved."""

    signature: str
    state: Literal["sent", "landed", "final", "failed", "expired"]
    reason: str | None
