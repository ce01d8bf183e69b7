"""The table of all operations of the WebSocket protocol."""

from domain.permissions import Access
from gateway.websocket.operations.auctions import BID, BUY_NOW
from gateway.websocket.operations.operation import LocalOperation, OperationTable
from gateway.websocket.operations.trades import TRADE_OPERATIONS
from gateway.websocket.session import Session
from gateway.wire.codec import JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL
from gateway.wire.frames import Hello, Ping, Subscribe, Unsubscribe

OPERATIONS = OperationTable(
    LocalOperation(Hello, Access.PUBLIC, Session.hello, needs_hello=False),
    LocalOperation(Ping, Access.PUBLIC, Session.ping),
    LocalOperation(Subscribe, Access.PUBLIC, Session.subscribe),
    LocalOperation(Unsubscribe, Access.PUBLIC, Session.unsubscribe),
    BID,
    BUY_NOW,
    *TRADE_OPERATIONS,
)
MSGPACK, JSON = OPERATIONS.codecs[MSGPACK_SUBPROTOCOL], OPERATIONS.codecs[JSON_SUBPROTOCOL]
