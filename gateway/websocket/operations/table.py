"""The table of all operations of the WebSocket protocol."""

from gateway.websocket.operations.auctions import BID, BUY_NOW
from gateway.websocket.operations.operation import LocalOperation, OperationTable
from gateway.websocket.session import Session
from gateway.wire.codec import JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL
from gateway.wire.frames import Hello, Ping, Subscribe, Unsubscribe

OPERATIONS = OperationTable(
    LocalOperation(Hello, Session.hello, needs_hello=False),
    LocalOperation(Ping, Session.ping),
    LocalOperation(Subscribe, Session.subscribe),
    LocalOperation(Unsubscribe, Session.unsubscribe),
    BID,
    BUY_NOW,
)
MSGPACK, JSON = OPERATIONS.codecs[MSGPACK_SUBPROTOCOL], OPERATIONS.codecs[JSON_SUBPROTOCOL]
