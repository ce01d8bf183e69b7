"""Why a command was refused. A refusal is a value: nothing happened."""

import msgspec


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """``code`` is stable (see docs/protocol.md); the prices say what a bid was decided on."""

    code: str
    price: int | None = None
    minimum: int | None = None


# Told to the engine alone: it is no client who says that a sale is paid for.
NOT_SOLD = "not_sold"
