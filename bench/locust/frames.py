"""Frames of the WebSocket as the `msgpack` package reads and writes them: a second implementation of the wire, besides
the engine's own. A frame that is not as documented is an error, not something to be lenient about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from ece_client import UnexpectedAnswer

SUBPROTOCOL = "ece.v1.msgpack"

Fields = Mapping[str, type]
_TRADE_REPLY: Fields = {"trade": str, "epoch": int, "seq": int, "at": int, "outcome": str, "duplicate": bool}
# What users of a load read of each reply, and of each event of an auction.
REPLIES: Mapping[str, Fields] = {
    "hello": {"session": str, "server_time": int, "heartbeat_ms": int},
    "ping": {"server_time": int},
    "subscribe": {"epoch": int, "seq": int, "recovered": bool},
    "unsubscribe": {},
    "bid": {
        "auction": str,
        "epoch": int,
        "seq": int,
        "at": int,
        "outcome": str,
        "price": int,
        "minimum": int,
        "duplicate": bool,
    },
    "trade_offer": {"trade": str, "epoch": int, "seq": int, "hash": str},
    "trade_counter": _TRADE_REPLY,
    "trade_accept": _TRADE_REPLY,
    "trade_confirm": _TRADE_REPLY,
    "trade_decline": _TRADE_REPLY,
}
AUCTION_STATE: Fields = {"status": str, "price": int, "minimum": int, "ends_at": int}
AUCTION_EVENTS: Mapping[str, Fields] = {
    "state": AUCTION_STATE,
    "listed": {"ends_at": int},
    "bid": {"bidder": str, "price": int, "minimum": int, "outcome": str},
    "extended": {"ends_at": int, "reason": str},
    "closed": {"reason": str, "price": int},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the request `id`. `error` is None where it succeeded."""

    id: int | str | None
    fields: dict[str, Any]
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Update:
    """A frame on a channel. `seq` is None for what is of the moment only: presence and typing."""

    channel: str
    type: str
    epoch: int | None
    seq: int | None
    at: int
    data: dict[str, Any]


def encode(frame: dict[str, Any]) -> bytes:
    """A frame of a client."""
    packed: bytes = msgpack.packb(frame)
    return packed


def decode(payload: bytes) -> Reply | Update:
    """A frame of the server. Raises UnexpectedAnswer for one that is not as documented."""
    try:
        frame = msgpack.unpackb(payload)
    # What it raises for broken input depends on what is broken; ValueError is the base of most of it.
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise UnexpectedAnswer(f"not MessagePack: {error}") from error
    if not isinstance(frame, dict):
        raise UnexpectedAnswer(f"a frame is {type(frame).__name__}, not a map")
    return _update(frame) if "channel" in frame else _reply(frame)


def _reply(frame: dict[str, Any]) -> Reply:
    ok, error = frame.get("ok"), frame.get("error")
    if "id" not in frame or not isinstance(ok, bool):
        raise UnexpectedAnswer(f"neither a reply nor an update: {_short(frame)}")
    if ok and error is None:
        return Reply(frame["id"], frame, None)
    if not ok and isinstance(error, dict) and isinstance(error.get("code"), str):
        return Reply(frame["id"], frame, error)
    raise UnexpectedAnswer(f"a reply with ok={ok} and the error {error!r}")


def _update(frame: dict[str, Any]) -> Update:
    channel, kind, epoch, seq = (frame.get(name) for name in ("channel", "type", "epoch", "seq"))
    at, data = frame.get("at"), frame.get("data")
    position = type(epoch) is int and type(seq) is int
    moment = epoch is None and seq is None
    if not (isinstance(channel, str) and isinstance(kind, str) and isinstance(at, int) and isinstance(data, dict)):
        raise UnexpectedAnswer(f"an update is not as documented: {_short(frame)}")
    if not (position or moment):
        raise UnexpectedAnswer(f"an update has the position {epoch!r}/{seq!r}")
    return Update(channel, kind, epoch, seq, at, data)


def check_reply(op: str, fields: dict[str, Any]) -> None:
    """Whether the reply to an operation has what it has to have. Raises UnexpectedAnswer."""
    _check(f"the reply to {op}", fields, REPLIES[op])
    if op == "subscribe":
        content = fields.get("events" if fields["recovered"] else "state")
        if not isinstance(content, list if fields["recovered"] else dict):
            raise UnexpectedAnswer("the reply to subscribe has neither events nor a state")


def check_auction_event(kind: str, data: dict[str, Any]) -> None:
    """Whether an event of an auction, or its state, has what it has to have. Raises UnexpectedAnswer."""
    _check(f"{kind} of an auction", data, AUCTION_EVENTS.get(kind, {}))


def _check(what: str, fields: dict[str, Any], expected: Fields) -> None:
    for name, kind in expected.items():
        # Not isinstance: True is no integer here.
        if type(fields.get(name)) is not kind:
            raise UnexpectedAnswer(f"{what} has {name}={fields.get(name)!r}")


def _short(frame: object) -> str:
    return repr(frame)[:200]
