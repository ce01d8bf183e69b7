"""Servers of one plain ASGI app on the gateway's own technology: uvicorn, uvloop, websockets-sansio, no compression."""

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LISTENERS_MAX = 512


async def serve(app: App) -> None:
    """Print the port, on loopback, and serve until SIGTERM."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=LISTENERS_MAX)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app, interface="asgi3", ws="websockets-sansio", ws_per_message_deflate=False, lifespan="off",
        log_level="warning", access_log=False,
    )  # fmt: skip
    await uvicorn.Server(config).serve(sockets=[listener])
