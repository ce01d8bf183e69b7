"""The ports of a session: its socket and the router; and its bounds."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from actors.stream.messages import Answer, Request


class Connection(Protocol):
    """The socket of a session."""

    def write_frame(self, frame: bytes) -> None: ...
    def write_soon(self, frame: bytes) -> None: ...
    def pause(self) -> bool: ...
    def unsent_bytes(self) -> int: ...
    def close(self, code: int, reason: str) -> None: ...


class Routes(Protocol):
    """The router."""

    def send(self, request: Request, on_answer: Callable[[Answer], None]) -> None: ...


class SocketClient(msgspec.Struct, frozen=True):
    """Who opened a socket. ``cookie``: the access token of its handshake, if the page is one of ours."""

    address: str = ""
    device: str = ""
    cookie: str | None = None


NO_CLIENT = SocketClient()


class SessionLimits(msgspec.Struct, frozen=True):
    """Bounds of one session; see docs/architecture.md, Bounds."""

    commands_per_s: int = 200
    commands_burst: int = 400
    subscriptions_max: int = 200
    frame_bytes_max: int = 16_384
    unsent_bytes_max: int = 1_048_576
    # Updates are written while no more than this waits for the client, so that they arrive while they are new, and
    # acks are not delayed.
    updates_unsent_bytes_max: int = 16_384
    stalled_after_s: float = 10.0
    frames_per_turn: int = 64
