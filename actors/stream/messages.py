"""The messages of the command stream between gateways and hosts, and the updates that hosts publish. Version 2.

A frame is four bytes of length (big-endian) and msgpack. After the handshake a gateway sends batches
``[[request_id, request], …]`` and a host answers ``[[request_id, answer], …]``, in any order. Payloads, terms, results
and states are the kind's own types, encoded: the stream carries any kind.
"""

from typing import Any, Generic, TypeVar

import msgspec

from domain.entity import NO_DETAILS, Details
from domain.log.codec import encode

STREAM_VERSION = 2
STREAM_FRAME_MAX = 32 * 1024 * 1024


UserKey = tuple[int, str]
"""A user's id, and the idempotency key of one of their commands."""


class Command(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """A command to one entity. With a ``key``, a retry gets the same answer: ``Accepted``.

    Without one, the rules are idempotent by the state, and the answer is the state after it: ``StateAnswer``.
    """

    entity: int
    kind: str
    payload: msgspec.Raw
    key: UserKey | None = None


class Open(msgspec.Struct, frozen=True, array_like=True, tag="o"):
    """Open an entity on these terms. If it was opened on the same terms, the answer is its state, ``duplicate``."""

    entity: int
    kind: str
    terms: msgspec.Raw


class GetState(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """The entity's public state and position."""

    entity: int
    kind: str


Request = Command | Open | GetState


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """The command is in the log, at ``(epoch, seq)``. ``result`` is that of its kind (``Receipt.result``).

    Hosts encode a Struct; gateways decode it as a list of its fields.
    """

    epoch: int
    seq: int
    at: int
    result: Any
    duplicate: bool = False


class StateAnswer(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """The entity's public state at ``at`` (ms), after the event at ``(epoch, seq)``. ``final``: it has ended.

    ``state`` is a map.
    """

    epoch: int
    seq: int
    at: int
    state: msgspec.Raw
    final: bool
    duplicate: bool = False


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """Nothing happened; only with ``unavailable`` the outcome is unknown: send the same key again."""

    code: str
    server_time: int
    details: Details = NO_DETAILS

    @property
    def retry_after_ms(self) -> int | None:
        retry_after_ms = self.details.get("retry_after_ms")
        return retry_after_ms if isinstance(retry_after_ms, int) else None

    def known(self) -> dict[str, Any]:
        """The fields of the error, by their names on the wire."""
        return {"server_time": self.server_time, **self.details}


Answer = Accepted | StateAnswer | Refused

# In addition to the codes of domain/errors.py.
MOVED = "moved"  # between host and gateway only: another host owns this entity


def command(entity: int, kind: str, payload: msgspec.Struct, key: UserKey | None = None) -> Command:
    """A command with its payload encoded."""
    return Command(entity, kind, msgspec.Raw(encode(payload)), key)


Map = TypeVar("Map")
"""A map of the kind's own: hosts encode a Struct or a dict, gateways decode ``msgspec.Raw`` and leave it encoded."""


class PublicEvent(msgspec.Struct, Generic[Map], frozen=True, array_like=True, gc=False):
    """One event without hidden fields."""

    seq: int
    at: int
    type: str
    data: Map


class Update(msgspec.Struct, Generic[Map], frozen=True, array_like=True):
    """One entity after one commit: its newest public state and the events that led to it.

    ``events`` may lack the oldest of a large commit, and is empty in a repeated update.
    ``final``: it has ended.
    """

    entity: int
    kind: str
    epoch: int
    seq: int
    at: int
    state: Map
    final: bool
    events: list[PublicEvent[Map]] = []
