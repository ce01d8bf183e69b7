"""Frames of the WebSocket protocol (docs/protocol.md): types of fields, the base of all client frames, events.

The frames of commands are defined with their operations (gateway/websocket/operations/).
"""

from typing import Annotated, Any

import msgspec

from domain.money import AMOUNT_MAX

# The largest up to which all integers are numbers of JavaScript.
INTEGER_MAX = 2**53

RequestId = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)] | Annotated[str, msgspec.Meta(max_length=64)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Amount = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
_WITHIN = msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)
ClientTime = Annotated[int, _WITHIN] | Annotated[float, _WITHIN]
NonNegative = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]
IdText = Annotated[str, msgspec.Meta(max_length=32)]
ChannelName = Annotated[str, msgspec.Meta(max_length=64)]


class Position(msgspec.Struct, frozen=True):
    """The last event that a client has."""

    epoch: NonNegative
    seq: NonNegative


class Frame(msgspec.Struct, frozen=True, tag_field="op"):
    """A frame of a client. Each subclass has a tag of its own: the ``op``."""

    id: RequestId


class Hello(Frame, frozen=True, tag="hello"):
    """``cookie``: with the cookies of the handshake instead of a token."""

    token: str | None = None
    cookie: bool = False


class Ping(Frame, frozen=True, tag="ping"):
    client_time: ClientTime | None = None


class Subscribe(Frame, frozen=True, tag="subscribe"):
    channel: ChannelName
    since: Position | None = None


class Unsubscribe(Frame, frozen=True, tag="unsubscribe"):
    channel: ChannelName


def op_of(frame: type[Frame]) -> str:
    """The operation's name on the wire."""
    return str(frame.__struct_config__.tag)


class ErrorReply(msgspec.Struct, frozen=True):
    """The reply to a request that failed."""

    id: int | str
    ok: bool
    error: msgspec.Raw


class EventFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event of a channel, or, with type ``state``, a snapshot that replaces all up to ``seq``.

    ``watchers`` is sent with a ``state``: about how many watchers the channel has in this gateway.
    """

    channel: str
    epoch: int
    seq: int
    type: str
    at: int
    data: Any
    watchers: int | None = None


class SignalFrame(msgspec.Struct, frozen=True):
    """Something of the moment, such as who is typing. It is in no log and has no place in the sequence."""

    channel: str
    type: str
    at: int
    data: Any
