"""A bare WebSocket echo on uvicorn, the yardstick of what a socket costs here: decodes each msgpack frame and sends it
back. `python -m bench.loads.echo_server` prints its port."""

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import uvicorn

from bench.wire.client import MSGPACK

Message = MutableMapping[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Plain ASGI, no framework."""
    if scope["type"] != "websocket":
        raise NotImplementedError(scope["type"])
    decode, encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode
    await receive()
    await send({"type": "websocket.accept", "subprotocol": MSGPACK})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": encode(decode(message["bytes"]))})


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app, ws="websockets-sansio", loop="uvloop", lifespan="off", log_level="warning", access_log=False,
        ws_per_message_deflate=False,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
