"""Parts of offers, as clients send them."""

from collections.abc import Sequence
from typing import Any

from bench.wire.accounts import Account

USD = 1_000_000


def leg(giver: Account, receiver: Account, copies: Sequence[str] = (), money: int = 0) -> dict[str, Any]:
    """What one gives to the other."""
    return {"giver": giver.id, "receiver": receiver.id, "copies": list(copies), "money": money}
