"""An operation of the WebSocket protocol, one for each ``op``, and the table of all."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from actors.stream.messages import Request
from domain.permissions import Needed
from gateway.identity.tokens import Identity
from gateway.wire.codec import Codec, codecs_of
from gateway.wire.frames import Frame, op_of

F = TypeVar("F", bound=Frame)


@dataclass(frozen=True, slots=True)
class _Operation(Generic[F]):
    frame: type[F]
    needs: Needed
    op: str = field(init=False)
    # Whether it counts for the rate limit of the account.
    costs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "op", op_of(self.frame))


@dataclass(frozen=True, slots=True)
class LocalOperation(_Operation[F]):
    """Handled by the session. ``handle(session, frame)`` returns the reply, or None if the session replies later.

    It may raise RequestFailed.
    """

    costs: ClassVar[bool] = False

    handle: Callable[[Any, F], Any]
    needs_hello: bool = True


@dataclass(frozen=True, slots=True)
class CommandOperation(_Operation[F]):
    """A command for the host of an entity of this kind. It needs a valid token, and an admission slot until its answer.

    ``command(frame, identity)`` is what the host gets; may raise InvalidId (``not_found``) and RequestFailed.
    ``reply(frame, answer)`` is the reply to the client where the host accepted it.
    """

    kind: str
    command: Callable[[F, Identity], Request]
    reply: Callable[[F, Any], Any]


@dataclass(frozen=True, slots=True)
class PreparedOperation(_Operation[F]):
    """A command that needs look-ups before it is sent. It needs a valid token, and an admission slot until its answer.

    ``work(services, frame, identity)`` looks up, sends, and returns the host's answer. It may raise whatever has a
    problem (gateway/http/problems.py); each of its waits has a deadline of its own, and all together have one as well.
    ``reply(frame, answer)`` is the reply to the client, unless the host refused.
    """

    work: Callable[[Any, F, Identity], Awaitable[Any]]
    reply: Callable[[F, Any], Any]


Operation = LocalOperation[Any] | CommandOperation[Any] | PreparedOperation[Any]


class OperationTable:
    """Operations by the type of their frames, and the codecs that read these frames."""

    def __init__(self, *operations: Operation) -> None:
        self.by_frame: dict[type[Frame], Operation] = {operation.frame: operation for operation in operations}
        self.codecs: dict[str, Codec] = codecs_of(list(self.by_frame))

    def __iter__(self) -> Any:
        return iter(self.by_frame.values())
