"""From an auction to the host that keeps it: one stream to each host, commands batched without a timer.

What is sent within one turn of the event loop travels as one frame. A lost stream means ``unavailable`` at once for
all that waited on it, and a new look-up in the directory.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

from actors.clock import Clock
from actors.messages import MOVED, OVERLOADED, UNAVAILABLE, Answer, Refused, Request
from actors.stream import GatewayStream, HandshakeFailed, open_stream
from persistence.directory import HostAddress, slot_of
from persistence.errors import StoreError

log = structlog.get_logger()

PENDING_MAX = 50_000
# So many requests go out without waiting for the end of the turn: the host can begin with them.
FRAME_REQUESTS = 32
ANSWER_TIMEOUT_S = 8.0
RETRY_AFTER_MS = 500
LOOK_UP_EVERY_S = 1.0
LOOK_UP_SOON_S = 0.05
START_WAIT_S = 5.0
MOVES_MAX = 2

OnAnswer = Callable[[Answer], None]


class LooksUpHosts(Protocol):
    """Where the directory is read; may raise StoreError."""

    async def hosts(self) -> list[HostAddress]: ...


class _Waiting:
    """One request whose answer is still to come."""

    __slots__ = ("deadline", "moves", "on_answer", "request")

    def __init__(self, request: Request, on_answer: OnAnswer, deadline: float, moves: int) -> None:
        self.request = request
        self.on_answer = on_answer
        self.deadline = deadline
        self.moves = moves


class HostLink:
    """The stream to one incarnation of a host, with what waits on it."""

    def __init__(self, host: HostAddress, router: "Router") -> None:
        self.host = host
        self.stream: GatewayStream | None = None
        self.waiting: dict[int, _Waiting] = {}
        self._router = router
        self._outbox: list[tuple[int, Request]] = []
        self._last_id = 0
        self._loop = asyncio.get_running_loop()
        self.connecting: asyncio.Task[None] | None = None

    def connect_soon(self, secret: bytes) -> "asyncio.Task[None] | None":
        """Begin to open the stream where there is none and none on its way. Each host for itself: one may hang."""
        if self.stream is not None or self.connecting is not None or not self.host.slots:
            return None
        self.connecting = self._loop.create_task(self._connect(secret), name=f"connect-{self.host.host_id}")
        return self.connecting

    async def _connect(self, secret: bytes) -> None:
        host = self.host
        try:
            self.stream = await open_stream(host.address, host.port, secret, self._on_answers, self._on_lost)
            log.info("host_connected", host=host.host_id, incarnation=host.incarnation)
        except (OSError, TimeoutError, HandshakeFailed) as error:
            log.debug("host_unreachable", host=host.host_id, error=str(error))
        finally:
            self.connecting = None

    def send(self, request: Request, on_answer: OnAnswer, moves: int) -> None:
        """Queue one request. The caller has checked that the link is up and not full."""
        self._last_id += 1
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append((self._last_id, request))
        if len(self._outbox) >= FRAME_REQUESTS:
            self._flush()
        self.waiting[self._last_id] = _Waiting(request, on_answer, self._loop.time() + ANSWER_TIMEOUT_S, moves)

    def expire(self, now: float) -> None:
        """Answer ``unavailable`` to what has waited too long."""
        late = []
        for request_id, waiting in self.waiting.items():
            if waiting.deadline > now:
                break
            late.append(request_id)
        for request_id in late:
            self.waiting.pop(request_id).on_answer(self._router.unavailable())

    def close(self) -> None:
        """Give the stream up; what waits gets ``unavailable``."""
        if self.connecting is not None:
            self.connecting.cancel()
        if self.stream is not None and self.stream.transport is not None:
            self.stream.transport.abort()
        self._on_lost()

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        if self.stream is not None and outbox:
            self.stream.send(outbox)

    def _on_answers(self, answers: list[tuple[int, Answer]]) -> None:
        pop = self.waiting.pop
        for request_id, answer in answers:
            waiting = pop(request_id, None)
            if waiting is None:
                continue
            if isinstance(answer, Refused) and answer.code == MOVED:
                self._router.moved(waiting.request, waiting.on_answer, waiting.moves)
            else:
                waiting.on_answer(answer)

    def _on_lost(self) -> None:
        if self.stream is None:
            return  # It never stood: the next look-up tries again, and not before.
        self.stream = None
        self._outbox.clear()
        waiting, self.waiting = self.waiting, {}
        for lost in waiting.values():
            lost.on_answer(self._router.unavailable())
        self._router.look_up_soon()


class Router:
    """Knows the directory and holds the links. ``start`` before use, ``stop`` at the end."""

    def __init__(self, directory: LooksUpHosts, secret: bytes, slots_total: int, clock: Clock) -> None:
        self._directory = directory
        self._secret = secret
        self._slots_total = slots_total
        self._clock = clock
        self._links: dict[tuple[str, int], HostLink] = {}
        self._by_slot: list[HostLink | None] = [None] * slots_total
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Look the hosts up once, and connect, then go on in the background."""
        connecting = await self._look_up()
        if connecting:
            await asyncio.wait(connecting, timeout=START_WAIT_S)
        self._tasks = [
            asyncio.create_task(self._look_up_forever(), name="router-directory"),
            asyncio.create_task(self._expire_forever(), name="router-deadlines"),
        ]

    async def stop(self) -> None:
        """Close all streams."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        links = list(self._links.values())
        for link in links:
            link.close()
        await asyncio.gather(
            *(link.connecting for link in links if link.connecting is not None), return_exceptions=True
        )

    def send(self, request: Request, on_answer: OnAnswer, moves: int = 0) -> None:
        """Send a request to the keeper of its auction; ``on_answer`` is called exactly once, perhaps at once."""
        link = self._by_slot[slot_of(request.auction, self._slots_total)]
        if link is None or link.stream is None:
            on_answer(self.unavailable())
        elif len(link.waiting) >= PENDING_MAX:
            on_answer(Refused(OVERLOADED, self._clock.now_ms(), retry_after_ms=RETRY_AFTER_MS))
        else:
            link.send(request, on_answer, moves)

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer:
        """Send a request and wait for its answer; ``unavailable`` when none comes in time."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def resolve(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        self.send(request, resolve)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return self.unavailable()

    def ready(self) -> bool:
        """Whether every slot has a host that can be reached."""
        return all(link is not None and link.stream is not None for link in self._by_slot)

    def unavailable(self) -> Refused:
        """Nobody knows what became of the request: the same key may be sent again."""
        return Refused(UNAVAILABLE, self._clock.now_ms(), retry_after_ms=RETRY_AFTER_MS)

    def moved(self, request: Request, on_answer: OnAnswer, moves: int) -> None:
        """The host asked does not keep this slot any more: look up, then try again, some times."""
        if moves >= MOVES_MAX:
            on_answer(self.unavailable())
            return
        self.look_up_soon()
        asyncio.get_running_loop().call_later(2 * LOOK_UP_SOON_S, self.send, request, on_answer, moves + 1)

    def look_up_soon(self) -> None:
        """The directory has changed, or a host is gone."""
        self._wake.set()

    async def _look_up_forever(self) -> None:
        while True:
            # Not `wait_for`: Python 3.11's forgets a cancellation that comes together with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_UP_EVERY_S):
                    await self._wake.wait()
                    await asyncio.sleep(LOOK_UP_SOON_S)
            self._wake.clear()
            try:
                await self._look_up()
            except Exception:
                # Without look-ups this gateway would be cut off for good.
                log.exception("look_up_failed")

    async def _look_up(self) -> list["asyncio.Task[None]"]:
        """Bring the links to what the directory says; returns the connections that this began."""
        try:
            hosts = await self._directory.hosts()
        except StoreError as error:
            log.warning("directory_unavailable", error=str(error))
            return []
        found = {(host.host_id, host.incarnation): host for host in hosts}
        for key in self._links.keys() - found.keys():
            self._links.pop(key).close()
        for key, host in found.items():
            link = self._links.setdefault(key, HostLink(host, self))
            link.host = host
        begun = [link.connect_soon(self._secret) for link in self._links.values()]
        by_slot: list[HostLink | None] = [None] * self._slots_total
        for link in self._links.values():
            for slot in link.host.slots:
                if slot < self._slots_total:
                    by_slot[slot] = link
        self._by_slot = by_slot
        return [task for task in begun if task is not None]

    async def _expire_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.5)
            for link in list(self._links.values()):
                link.expire(loop.time())
