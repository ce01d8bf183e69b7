"""What a session needs of others: the socket under it, and the way to the hosts."""

from collections.abc import Callable
from typing import Protocol

from actors.stream.messages import Answer, Request


class Connection(Protocol):
    """The socket under a session."""

    def write_frame(self, frame: bytes) -> None: ...
    def write_soon(self, frame: bytes) -> None: ...
    def pause(self) -> None: ...
    def unsent_bytes(self) -> int: ...
    def close(self, code: int, reason: str) -> None: ...


class Routes(Protocol):
    """The way to the hosts."""

    def send(self, request: Request, on_answer: Callable[[Answer], None]) -> None: ...
