"""A bare WebSocket echo, the yardstick of what a socket costs here: it decodes each msgpack frame and sends it back.
`python -m bench.peers.echo` prints its port."""

import msgspec
import uvloop

from bench.peers.asgi import Message, Receive, Send, serve
from bench.wire.client import MSGPACK


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Plain ASGI, no framework."""
    if scope["type"] != "websocket":
        raise NotImplementedError(scope["type"])
    decode, encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode
    await receive()
    await send({"type": "websocket.accept", "subprotocol": MSGPACK})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": encode(decode(message["bytes"]))})


if __name__ == "__main__":
    uvloop.run(serve(app))
