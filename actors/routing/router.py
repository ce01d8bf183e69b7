"""The router: sends requests to the host that owns the entity; one stream to each host, batched without a timer.

Requests of one turn of the event loop travel as one frame. When a stream is lost, all requests that waited on it are
answered ``unavailable``, and the directory is looked up again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from actors.clock import Clock
from actors.routing.hand_off_buffer import HandOffBuffer
from actors.stream.connection import GatewayStream, HandshakeFailed, open_stream
from actors.stream.messages import MOVED, Answer, Refused, Request
from domain.errors import OVERLOADED, UNAVAILABLE
from persistence.placement.directory import HostAddress, slot_of
from persistence.postgres.errors import StoreError

log = structlog.get_logger()

# This many requests are sent without waiting for the end of the turn, so that the host can begin.
FRAME_REQUESTS = 32
ANSWER_TIMEOUT_S = 8.0
RETRY_LATER = {"retry_after_ms": 500}
LOOK_UP_EVERY_S = 1.0
LOOK_UP_SOON_S = 0.01
START_WAIT_S = 5.0
# A request that is unanswered for so long after another host took over its entity will not be answered.
TAKEN_OVER_S = 1.0

OnAnswer = Callable[[Answer], None]


class LooksUpHosts(Protocol):
    """Reads the directory; may raise StoreError."""

    async def hosts(self) -> list[HostAddress]: ...


@dataclass(frozen=True)
class RouterLimits:
    """``pending_max`` requests may wait for one host, ``held_max`` for entities that are being handed off."""

    pending_max: int = 50_000
    held_max: int = 10_000


class _Waiting:
    """One request whose answer is still to come."""

    __slots__ = ("deadline", "held_since", "number", "on_answer", "request", "sent_at")

    def __init__(
        self, number: int, request: Request, on_answer: OnAnswer, sent_at: float, held_since: float | None
    ) -> None:
        self.number = number
        self.request = request
        self.on_answer = on_answer
        self.sent_at = sent_at
        self.deadline = sent_at + ANSWER_TIMEOUT_S
        self.held_since = held_since


class HostLink:
    """The stream to one incarnation of a host, and the requests that wait on it."""

    def __init__(self, host: HostAddress, router: "Router") -> None:
        self.host = host
        self.stream: GatewayStream | None = None
        # Both in the order of their deadlines.
        self.waiting: dict[int, _Waiting] = {}
        self.shortened: dict[int, _Waiting] = {}
        self._router = router
        self._outbox: list[tuple[int, Request]] = []
        self._last_id = 0
        self._answered_at = 0.0
        self._loop = asyncio.get_running_loop()
        self.connecting: asyncio.Task[None] | None = None

    def connect_soon(self, secret: bytes) -> "asyncio.Task[None] | None":
        """Begin to open the stream if there is none yet. Each host has its own task, since one may hang.

        Spare hosts are connected too, so that fail-over does not wait for the handshake.
        """
        if self.stream is not None or self.connecting is not None:
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

    def send(self, number: int, request: Request, on_answer: OnAnswer, held_since: float | None) -> None:
        """Queue one request. The caller has checked that the link is up and not full."""
        self._last_id += 1
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append((self._last_id, request))
        if len(self._outbox) >= FRAME_REQUESTS:
            self._flush()
        self.waiting[self._last_id] = _Waiting(number, request, on_answer, self._loop.time(), held_since)

    def expire(self, now: float) -> None:
        """Answer ``unavailable`` to requests whose deadline has passed.

        A stream on which nothing came in all that time may be dead without its end being told: a new one is opened.
        """
        oldest = next(iter(self.waiting.values()), None)
        silent = oldest is not None and oldest.deadline <= now and oldest.sent_at > self._answered_at
        for queue in (self.waiting, self.shortened):
            late = []
            for request_id, waiting in queue.items():
                if waiting.deadline > now:
                    break
                late.append(request_id)
            for request_id in late:
                queue.pop(request_id).on_answer(self._router.unavailable())
        if silent:
            log.warning("stream_silent", host=self.host.host_id, incarnation=self.host.incarnation)
            self.close()

    def shorten_deadlines(self, is_taken_over: Callable[[int], bool]) -> None:
        """Shorten the deadlines of requests for entities that another host owns now: answered soon or never."""
        deadline = self._loop.time() + TAKEN_OVER_S
        for request_id, waiting in list(self.waiting.items()):
            if waiting.deadline > deadline and is_taken_over(waiting.request.entity):
                del self.waiting[request_id]
                waiting.deadline = deadline
                self.shortened[request_id] = waiting

    def waits_for(self, entity: int) -> bool:
        """Whether a request for this entity is still to be answered."""
        return any(w.request.entity == entity for w in (*self.waiting.values(), *self.shortened.values()))

    def close(self) -> None:
        """Close the stream; waiting requests get ``unavailable``."""
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
        self._answered_at = self._loop.time()
        pop = self.waiting.pop
        for request_id, answer in answers:
            waiting = pop(request_id, None) or self.shortened.pop(request_id, None)
            if waiting is None:
                continue
            if isinstance(answer, Refused) and answer.code == MOVED:
                self._router.moved(waiting, self)
            else:
                waiting.on_answer(answer)

    def _on_lost(self) -> None:
        if self.stream is None:
            return  # It was never open: the next look-up tries again.
        self.stream = None
        self._outbox.clear()
        lost = [*self.shortened.values(), *self.waiting.values()]
        self.waiting, self.shortened = {}, {}
        for waiting in lost:
            waiting.on_answer(self._router.unavailable())
        self._router.look_up_soon()


class Router:
    """Knows the directory and holds the links. ``start`` before use, ``stop`` at the end."""

    def __init__(
        self, directory: LooksUpHosts, secret: bytes, slots_total: int, clock: Clock,
        limits: RouterLimits | None = None,
    ) -> None:  # fmt: skip
        self._limits = limits = limits or RouterLimits()
        self._directory = directory
        self._secret = secret
        self._slots_total = slots_total
        self._clock = clock
        self._links: dict[tuple[str, int], HostLink] = {}
        self._by_slot: list[HostLink | None] = [None] * slots_total
        # Entities with a dedicated host.
        self._dedicated: dict[int, HostLink] = {}
        # Called with a test for entities that have another owner than before, or one again.
        self.on_moved: Callable[[Callable[[int], bool]], None] = lambda _moved: None
        self._handed_off = HandOffBuffer(self._forward, self._has_settled, self._is_still_named, clock, limits.held_max)
        self._numbers = 0
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Look up the hosts, connect to them, and go on in the background."""
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
        self._handed_off.give_up()
        links = list(self._links.values())
        for link in links:
            link.close()
        await asyncio.gather(
            *(link.connecting for link in links if link.connecting is not None), return_exceptions=True
        )

    def send(self, request: Request, on_answer: OnAnswer) -> None:
        """Send a request to the owner of its entity. ``on_answer`` is called exactly once, perhaps immediately."""
        self._numbers += 1
        if self._handed_off and request.entity in self._handed_off:
            self._handed_off.hold(self._numbers, request, on_answer, None, None)
        else:
            self._forward(self._numbers, request, on_answer)

    def _forward(self, number: int, request: Request, on_answer: OnAnswer, held_since: float | None = None) -> None:
        link = self._owner_of(request.entity)
        if link is None or link.stream is None:
            if held_since is None:
                on_answer(self.unavailable())
            else:
                self._handed_off.hold(number, request, on_answer, None, held_since)
        elif len(link.waiting) >= self._limits.pending_max:
            on_answer(Refused(OVERLOADED, self._clock.now_ms(), RETRY_LATER))
        else:
            link.send(number, request, on_answer, held_since)

    def _owner_of(self, entity: int) -> HostLink | None:
        if self._dedicated and entity in self._dedicated:
            return self._dedicated[entity]
        return self._by_slot[slot_of(entity, self._slots_total)]

    def _has_settled(self, entity: int, left: object) -> bool:
        """Whether another owner is named and connected, and the former one has answered all its requests."""
        link = self._owner_of(entity)
        if link is None or link.stream is None:
            return False
        return link is not left and not (isinstance(left, HostLink) and left.waits_for(entity))

    def _is_still_named(self, entity: int, left: object) -> bool:
        """Whether the directory still names the host that rejected the request."""
        return left is not None and self._owner_of(entity) is left

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

    def hosts(self) -> list[HostAddress]:
        """The directory, as of the last look-up."""
        return [link.host for link in self._links.values()]

    def waiting(self) -> dict[str, int]:
        """How many requests wait for each host."""
        return {link.host.host_id: len(link.waiting) + len(link.shortened) for link in self._links.values()}

    @property
    def held(self) -> int:
        """How many requests wait for entities that are being handed off."""
        return self._handed_off.waiting

    def ready(self) -> bool:
        """Whether every slot has a host that can be reached."""
        return all(link is not None and link.stream is not None for link in self._by_slot)

    def unavailable(self) -> Refused:
        """The refusal for an unknown outcome: the same key may be sent again."""
        return Refused(UNAVAILABLE, self._clock.now_ms(), RETRY_LATER)

    def moved(self, waiting: _Waiting, left: HostLink) -> None:
        """The host does not own this entity any more: hold the request until the directory names the new owner."""
        self._handed_off.hold(waiting.number, waiting.request, waiting.on_answer, left, waiting.held_since)
        self.look_up_soon()

    def look_up_soon(self) -> None:
        """Look up the directory soon: it has changed, or a host is gone."""
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
                self._handed_off.settle()
                if self._handed_off:
                    self._wake.set()
            except Exception:
                # Without look-ups this gateway would stay without hosts.
                log.exception("look_up_failed")

    async def _look_up(self) -> list["asyncio.Task[None]"]:
        """Update the links from the directory; returns the connections to owners that this began."""
        try:
            hosts = await self._directory.hosts()
        except StoreError as error:
            log.warning("directory_unavailable", error=str(error))
            return []
        found = {(host.host_id, host.incarnation): host for host in hosts}
        for key in [key for key in self._links if key not in found]:
            self._links.pop(key).close()
        for key, host in found.items():
            link = self._links.setdefault(key, HostLink(host, self))
            link.host = host
        begun = [(link.host, link.connect_soon(self._secret)) for link in self._links.values()]
        self._direct_to_owners()
        return [task for host, task in begun if task is not None and host.owns_something]

    def _direct_to_owners(self) -> None:
        before, dedicated_before = self._by_slot, self._dedicated
        by_slot: list[HostLink | None] = [None] * self._slots_total
        dedicated: dict[int, HostLink] = {}
        for link in self._links.values():
            for slot in link.host.slots:
                if slot < self._slots_total:
                    by_slot[slot] = link
            dedicated |= dict.fromkeys(link.host.entities, link)
        self._by_slot, self._dedicated = by_slot, dedicated
        left = {link for link, now in zip(before, by_slot, strict=True) if link is not None and link is not now}
        left |= {link for entity, link in dedicated_before.items() if dedicated.get(entity) is not link}
        slots_of_new = {slot_of(entity, self._slots_total) for entity in dedicated.keys() - dedicated_before.keys()}
        left |= {owner for slot in slots_of_new if (owner := by_slot[slot]) is not None}
        for link in left:
            link.shorten_deadlines(lambda entity, link=link: self._owner_of(entity) is not link)  # type: ignore[misc]
        slots = {slot for slot, link in enumerate(by_slot) if link is not None and link is not before[slot]}
        entities = {
            entity
            for entity in dedicated.keys() | dedicated_before.keys()
            if dedicated.get(entity) is not dedicated_before.get(entity)
        }
        if slots or entities:
            self.on_moved(lambda entity: entity in entities or slot_of(entity, self._slots_total) in slots)

    async def _expire_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.5)
            for link in list(self._links.values()):
                link.expire(loop.time())
            self._handed_off.expire()
