"""Subscriptions over one WebSocket, which is opened again whenever it ends.

They make things prompt, they promise nothing: an update may be missing, and each reader is told when that may be so, by
``Missed``. It comes once after every subscribing, also the first: what is read after it has everything before it.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import structlog
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.rpc.addresses import EndpointAddress, endpoint_address
from chain.rpc.answers import Commitment
from chain.rpc.errors import ChainUnavailable
from chain.rpc.notices import Ended, Missed, Notices, Update

log = structlog.get_logger()

SUBSCRIPTIONS_MAX = 1_000
FRAME_BYTES_MAX = 16 * 1024 * 1024
CONNECT_WITHIN_S, ANSWER_WITHIN_S, SEND_WITHIN_S, HEARTBEAT_S = 5.0, 10.0, 10.0, 10.0
BACK_OFF_FIRST_S, BACK_OFF_MAX_S = 0.2, 10.0
# A connection that held so long was a good one.
GOOD_AFTER_S = 30.0


@dataclass(eq=False)
class Subscription:
    """``async for notice in subscription``. It goes on over all connections until it is closed."""

    method: str
    params: list[Any]
    notices: Notices
    _owner: "Subscriptions" = field(repr=False)

    async def next(self) -> Update | Missed:
        """The next notice. Raises Ended."""
        return await self.notices.next()

    async def __aiter__(self) -> AsyncIterator[Update | Missed]:
        try:
            while True:
                yield await self.notices.next()
        except Ended:
            return

    def close(self) -> None:
        """End it."""
        self._owner.remove(self)


class _Frame(msgspec.Struct):
    """An answer, or a notification."""

    id: int | None = None
    result: Any = None
    error: Any = None
    method: str | None = None
    params: Any = None


class _Refused(Exception):
    """The node does not take a subscription."""


class Subscriptions:
    """All subscriptions of a process. ``connected``: whether updates come now."""

    def __init__(self, urls: Sequence[str], back_off_first_s: float = BACK_OFF_FIRST_S) -> None:
        """The URLs of RPC servers. Raises InvalidEndpoint."""
        addresses = [endpoint_address(url) for url in urls]
        # Every server at its first address, then at its second.
        pairs = itertools.zip_longest(*(address.sockets for address in addresses))
        named = [(addresses[place], url) for row in pairs for place, url in enumerate(row) if url is not None]
        self._targets: list[tuple[EndpointAddress, str]] = named
        self._back_off_first_s = back_off_first_s
        self._open: list[Subscription] = []
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[Subscription, float]] = {}
        self._by_number: dict[int, Subscription] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(4 * SUBSCRIPTIONS_MAX)
        self._running: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._socket is not None

    async def start(self) -> None:
        """Connect, now and whenever the connection ends."""
        self._running = asyncio.create_task(self._run(), name="chain-subscriptions")

    async def stop(self) -> None:
        """End all subscriptions."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        for one in list(self._open):
            self.remove(one)

    # Subscribing

    def account(self, address: Pubkey, commitment: Commitment = "confirmed") -> Subscription:
        """Every change of an account."""
        return self._add("account", [str(address), {"encoding": "base64", "commitment": commitment}])

    def program(
        self, program: Pubkey, filters: Sequence[Mapping[str, Any]] = (), commitment: Commitment = "confirmed",
        data_slice: tuple[int, int] | None = None,
    ) -> Subscription:  # fmt: skip
        """Every change of accounts of a program that pass the filters. ``data_slice``: (offset, length) of the data."""
        options: dict[str, Any] = {"encoding": "base64", "commitment": commitment, "filters": list(filters)}
        if data_slice is not None:
            options["dataSlice"] = dict(zip(("offset", "length"), data_slice, strict=True))
        return self._add("program", [str(program), options])

    def logs(self, mentions: Pubkey, commitment: Commitment = "confirmed") -> Subscription:
        """Every transaction that names this account, with its logs."""
        return self._add("logs", [{"mentions": [str(mentions)]}, {"commitment": commitment}])

    def signature(self, signature: Signature, commitment: Commitment = "confirmed") -> Subscription:
        """That a transaction has reached this commitment. It ends with that."""
        return self._add("signature", [str(signature), {"commitment": commitment}])

    def slots(self) -> Subscription:
        """Every slot."""
        return self._add("slot", [])

    def _add(self, kind: str, params: list[Any]) -> Subscription:
        """Raises ChainUnavailable if there are too many."""
        if len(self._open) >= SUBSCRIPTIONS_MAX:
            raise ChainUnavailable(f"more than {SUBSCRIPTIONS_MAX:,} subscriptions")
        subscription = Subscription(kind, params, Notices(), self)
        self._open.append(subscription)
        if self._socket is not None:
            self._ask(subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """End it; the server is told if it knows of it."""
        subscription.notices.end()
        if subscription in self._open:
            self._open.remove(subscription)
        for number in [number for number, one in self._by_number.items() if one is subscription]:
            del self._by_number[number]
            self._unsubscribe(subscription.method, number)

    def _unsubscribe(self, kind: str, number: int) -> None:
        self._send({"id": next(self._numbers), "method": f"{kind}Unsubscribe", "params": [number]})

    def _ask(self, subscription: Subscription) -> None:
        number = next(self._numbers)
        self._asked[number] = (subscription, asyncio.get_running_loop().time() + ANSWER_WITHIN_S)
        self._send({"id": number, "method": f"{subscription.method}Subscribe", "params": subscription.params})

    def _send(self, request: dict[str, Any]) -> None:
        if self._socket is None:
            return
        try:
            self._outbox.put_nowait({"jsonrpc": "2.0", **request})
        except asyncio.QueueFull:
            raise ChainUnavailable("the WebSocket takes no more requests") from None

    # The connection

    async def _run(self) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        async with aiohttp.ClientSession(trust_env=False) as session:
            for place in itertools.cycle(range(len(self._targets))):
                address, url = self._targets[place]
                began = loop.time()
                try:
                    await self._connection(session, url)
                    reason = "closed"
                except (
                    aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError, ChainUnavailable, _Refused,
                ) as error:  # fmt: skip
                    reason = str(error) if isinstance(error, _Refused) else type(error).__name__
                finally:
                    self._forget()
                failures = 1 if loop.time() - began > GOOD_AFTER_S else failures + 1
                log.info("chain_socket_closed", endpoint=address.name, reason=reason, failures=failures)
                pause = min(BACK_OFF_MAX_S, self._back_off_first_s * 2 ** min(failures - 1, 10))
                await asyncio.sleep(pause * (0.5 + random.random() / 2))

    def _forget(self) -> None:
        self._socket = None
        self._asked.clear()
        self._by_number.clear()
        while not self._outbox.empty():
            self._outbox.get_nowait()

    async def _connection(self, session: aiohttp.ClientSession, url: str) -> None:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            socket = await session.ws_connect(
                url, heartbeat=HEARTBEAT_S, max_msg_size=FRAME_BYTES_MAX, compress=0, autoclose=True
            )
        async with socket:
            self._socket = socket
            for one in list(self._open):
                self._ask(one)
            work = {
                asyncio.create_task(self._write(socket)),
                asyncio.create_task(self._read(socket)),
                asyncio.create_task(self._watch_answers()),
            }
            try:
                done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
            for task in done:
                task.result()

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            request = await self._outbox.get()
            async with asyncio.timeout(SEND_WITHIN_S):
                await socket.send_str(msgspec.json.encode(request).decode())

    async def _watch_answers(self) -> None:
        """Raises TimeoutError when the node does not answer."""
        while True:
            await asyncio.sleep(1.0)
            now = asyncio.get_running_loop().time()
            if any(until < now for _, until in self._asked.values()):
                raise TimeoutError

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                return
            frame = msgspec.json.decode(message.data, type=_Frame)
            if frame.method is not None:
                self._notified(frame.params)
            elif frame.id is not None:
                self._answered(frame)

    def _answered(self, frame: _Frame) -> None:
        subscription, _ = self._asked.pop(frame.id or 0, (None, 0.0))
        if subscription is None:
            return
        if frame.error is not None or not isinstance(frame.result, int):
            raise _Refused(f"{subscription.method}Subscribe: {str(frame.error)[:200]}")
        if subscription not in self._open:
            self._unsubscribe(subscription.method, frame.result)
            return
        self._by_number[frame.result] = subscription
        subscription.notices.missed("subscribed")

    def _notified(self, params: Any) -> None:
        """Notifications for nobody are of subscriptions that have ended."""
        if not isinstance(params, dict) or "result" not in params:
            raise _Refused("a notification that can't be read")
        number = params.get("subscription")
        if not isinstance(number, int) or number not in self._by_number:
            return
        subscription = self._by_number[number]
        subscription.notices.put(_update(params["result"]))
        if subscription.method == "signature":
            del self._by_number[number]
            self._open.remove(subscription)
            subscription.notices.end()


def _update(result: Any) -> Update:
    if not isinstance(result, dict):
        return Update(None, result)
    context = result.get("context")
    if isinstance(context, dict) and isinstance(context.get("slot"), int):
        return Update(context["slot"], result.get("value"))
    slot = result.get("slot")
    return Update(slot if isinstance(slot, int) else None, result)
