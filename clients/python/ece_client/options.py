"""Bounds and deadlines of a client."""

from dataclasses import dataclass
from typing import Literal

MSGPACK: Literal["ece.v1.msgpack"] = "ece.v1.msgpack"
JSON: Literal["ece.v1.json"] = "ece.v1.json"


@dataclass(frozen=True)
class Options:
    """Seconds and counts; the defaults suit a bot or a service.

    `command_deadline_s` is how long a command is retried until its outcome is known; `request_deadline_s` is for one
    answer. `updates_max` updates of a feed may wait for a slow reader; then they are replaced by the newest state.
    `requests_max` requests may wait for an answer on the socket; more wait for their turn, up to their deadline.
    `heartbeat_s` shortens the interval between two heartbeats, which else is half of what the server names.
    """

    subprotocol: Literal["ece.v1.msgpack", "ece.v1.json"] = MSGPACK
    connect_deadline_s: float = 30.0
    handshake_deadline_s: float = 10.0
    request_deadline_s: float = 10.0
    command_deadline_s: float = 60.0
    reconnect_max_s: float = 10.0
    heartbeat_s: float | None = None
    updates_max: int = 1_000
    requests_max: int = 256
    feeds_max: int = 200
    http_connections_max: int = 6
    http_timeout_s: float = 15.0
