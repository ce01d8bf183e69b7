"""The endpoint of ``/ws``: finds the codec, makes a session, and waits until the socket is gone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from domain.errors import OVERLOADED
from gateway.http.client import Client
from gateway.http.cookies import names_of
from gateway.http.origins import is_own_origin
from gateway.http.problems import Problem
from gateway.websocket.connection import SocketClient
from gateway.websocket.protocol import EXTENSION, SocketProtocol
from gateway.wire.codec import JSON_SUBPROTOCOL, Codec

if TYPE_CHECKING:
    from gateway.websocket.sockets import Sockets


async def endpoint(websocket: WebSocket) -> None:
    """Serve one WebSocket client; ``app.state.sockets`` has what its session needs."""
    sockets: Sockets = websocket.app.state.sockets
    offered = websocket.scope["subprotocols"]
    codecs = sockets.operations.codecs
    codec = next((codecs[name] for name in offered or [JSON_SUBPROTOCOL] if name in codecs), None)
    connection = websocket.scope["extensions"].get(EXTENSION)
    if codec is None:
        await websocket.send_denial_response(PlainTextResponse(f"subprotocols: {', '.join(codecs)}\n", 400))
        return
    address = websocket.client.host if websocket.client is not None else None
    refusal = sockets.acquire(address) if isinstance(connection, SocketProtocol) else OVERLOADED
    if refusal is not None:
        await websocket.send_denial_response(Problem(refusal).response())
        return
    try:
        await websocket.accept(subprotocol=codec.subprotocol if offered else None)
        await _serve(websocket, sockets, connection, codec)
    finally:
        sockets.release(address)


def _client(websocket: WebSocket, origins: Sequence[str]) -> SocketClient:
    """Who opened the socket. A page of another site gets no identity from the cookies that its browser sends."""
    client = Client(websocket.scope)
    cookie = client.cookies.get(names_of(secure=client.secure).access)
    if cookie is not None and not is_own_origin(client.origin, client.host, origins, secure=client.secure):
        cookie = None
    return SocketClient(client.address, client.device, cookie)


async def _serve(websocket: WebSocket, sockets: "Sockets", connection: SocketProtocol, codec: Codec) -> None:
    session = sockets.open(connection, codec, _client(websocket, sockets.origins))
    connection.attach(session, sockets.limits.frames_per_turn)
    try:
        # Frames of the client go directly to the session: ``receive`` returns only at the end.
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            session.received(message["bytes"] if message.get("bytes") is not None else message["text"])
    except WebSocketDisconnect:
        return
    finally:
        sockets.closed(session)
