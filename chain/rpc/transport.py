"""One JSON-RPC request over HTTP: the answer, or a typed error."""

import asyncio
import itertools
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, TypeVar

import aiohttp
import msgspec

from chain.rpc.answers import Envelope, RpcFault
from chain.rpc.errors import (
    AccessDenied,
    AlreadyProcessed,
    BlockhashExpired,
    ChainError,
    ChainUnavailable,
    InvalidAnswer,
    MethodUnsupported,
    NodeBehind,
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
    TransactionRejected,
)

Answer = TypeVar("Answer")

ANSWER_BYTES_MAX = 64 * 1024 * 1024
RETRY_AFTER_S = 1.0
PREFLIGHT_FAILURE, BAD_SIGNATURE, NODE_BEHIND, SLOT_NOT_REACHED = -32002, -32003, -32005, -32016
METHOD_NOT_FOUND, UNSUPPORTED_VERSION = -32601, -32015
TOO_MANY = (429, -32429, -32029)
_CODES_OF_REQUEST = (-32600, -32602, UNSUPPORTED_VERSION)
OF_TRANSACTIONS = ("sendTransaction", "simulateTransaction")
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}


class Transport:
    """The connections. Only the errors of ``chain.rpc.errors`` leave it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._numbers = itertools.count(1)

    def open(self) -> None:
        self._session = aiohttp.ClientSession(trust_env=False)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, url: str, method: str, params: list[Any], kind: type[Answer], within_s: float) -> Answer:
        """Raises ChainError; OutcomeUnknown where a transaction was handed over and no answer came."""
        number = next(self._numbers)
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        response, content = await self._posted(url, method, body, within_s)
        if response.status == 429:
            raise RateLimited(f"{method}: HTTP 429", _retry_after_s(response))
        if response.status in (401, 403):
            raise AccessDenied(f"{method}: HTTP {response.status}")
        if response.status >= 500:
            raise _lost(method)(f"{method}: HTTP {response.status}")
        if 300 <= response.status < 400:
            raise InvalidAnswer(f"{method}: HTTP {response.status}")
        try:
            return _result(method, number, content, kind)
        except InvalidAnswer:
            if method == "sendTransaction":
                raise OutcomeUnknown(f"{method}: an answer that can't be read") from None
            raise

    async def _posted(
        self, url: str, method: str, body: bytes, within_s: float
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        if self._session is None:
            raise ChainUnavailable(f"{method}: the client is stopped")
        try:
            async with (
                asyncio.timeout(within_s),
                self._session.post(url, data=body, headers=_HEADERS, allow_redirects=False) as response,
            ):
                return response, await _content(method, response)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, UnicodeError) as error:
            raise ChainUnavailable(f"{method}: {type(error).__name__}") from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _lost(method)(f"{method}: {type(error).__name__}") from None


async def _content(method: str, response: aiohttp.ClientResponse) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            response.close()
            raise InvalidAnswer(f"{method}: the answer has more than {ANSWER_BYTES_MAX:,} bytes")
    return b"".join(pieces)


def _lost(method: str) -> type[ChainUnavailable]:
    return OutcomeUnknown if method == "sendTransaction" else ChainUnavailable


def _result(method: str, number: int, content: bytes, kind: type[Answer]) -> Answer:
    try:
        envelope = msgspec.json.decode(content, type=Envelope)
        if envelope.error is not None:
            raise _error(method, envelope.error)
        if envelope.id != number:
            raise InvalidAnswer(f"{method}: the answer to another request")
        return msgspec.json.decode(envelope.result, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise InvalidAnswer(f"{method}: {str(error)[:200]}") from None


def _error(method: str, fault: RpcFault) -> ChainError:
    text = f"{method}: {fault.message[:300]} ({fault.code})"
    if fault.code in TOO_MANY:
        return RateLimited(text, RETRY_AFTER_S)
    if fault.code in (NODE_BEHIND, SLOT_NOT_REACHED):
        return NodeBehind(text)
    if fault.code == METHOD_NOT_FOUND:
        return MethodUnsupported(text)
    if method not in OF_TRANSACTIONS:
        return RequestRejected(text) if fault.code in _CODES_OF_REQUEST else ChainUnavailable(text)
    if fault.code == PREFLIGHT_FAILURE:
        return _of_preflight(text, fault)
    if fault.code == BAD_SIGNATURE or fault.code in _CODES_OF_REQUEST:
        return TransactionRejected(text)
    return _lost(method)(text)


def _of_preflight(text: str, fault: RpcFault) -> TransactionRejected:
    reason = fault.data.get("err") if isinstance(fault.data, dict) else None
    if reason == "AlreadyProcessed" or "already been processed" in fault.message:
        return AlreadyProcessed(text)
    if reason == "BlockhashNotFound" or "lockhash not found" in fault.message:
        return BlockhashExpired(text)
    return TransactionRejected(text)


def _retry_after_s(response: aiohttp.ClientResponse) -> float:
    """Seconds or a date; a second where it says neither."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 8:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return RETRY_AFTER_S
