"""Answers to commands about trades."""

from typing import Any

import msgspec

from actors.stream.messages import Accepted
from domain.trade.receipts import TradeResult


def result_json(trade: str, answer: Accepted) -> dict[str, Any]:
    """The command's position in the log and its outcome; ``hash`` and ``number`` where the outcome has them."""
    result = msgspec.structs.asdict(msgspec.convert(answer.result, TradeResult))
    known = {name: value for name, value in result.items() if value is not None}
    return {
        "trade": trade, "epoch": answer.epoch, "seq": answer.seq, "at": answer.at, **known,
        "duplicate": answer.duplicate,
    }  # fmt: skip
