"""Why the ledger refused an order. A refusal is a value: nothing moved, and its id is free for another try."""

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """``code`` is stable; ``available`` and ``required`` are what ``insufficient_funds`` was decided on."""

    code: str
    available: int | None = None
    required: int | None = None


# In addition to the codes of domain/errors.py. The order is invalid in any state of the ledger.
INVALID_AMOUNT = "invalid_amount"
SAME_ACCOUNT = "same_account"
INVALID_TRANSFER_ID = "invalid_transfer_id"
INVALID_KIND = "invalid_kind"
EXPIRY_PASSED = "expiry_passed"

# The order is refused in this state of the ledger.
ACCOUNT_NOT_FOUND = "account_not_found"
CURRENCY_MISMATCH = "currency_mismatch"
TRANSFER_ID_REUSED = "transfer_id_reused"
TRANSFER_NOT_FOUND = "transfer_not_found"
TRANSFER_NOT_PENDING = "transfer_not_pending"
TRANSFER_EXPIRED = "transfer_expired"
TRANSFER_NOT_EXPIRED = "transfer_not_expired"
AMOUNT_ABOVE_PENDING = "amount_above_pending"
# Another order of the same set was refused, so none of the set was done.
SET_REFUSED = "set_refused"
