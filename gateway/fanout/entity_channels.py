"""The channels of entities of one kind (``auction:<id>``): loaded from their hosts, resumed from memory or the log."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Protocol, cast

import msgspec
import structlog

from actors.stream.messages import Answer, GetState, Refused, Request, StateAnswer, Update
from domain.errors import NOT_FOUND, OVERLOADED, UNAVAILABLE
from domain.log.codec import Unreadable
from gateway.fanout.channels import ChannelSource, FanOutCounts, FanOutLimits
from gateway.fanout.entity_channel import EntityChannel
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import EventFrame, Position
from persistence.log.history import LoggedEvent
from persistence.postgres.errors import StoreError
from persistence.redis.announcements import CHANNEL_GROUPS, updates_channel

log = structlog.get_logger()

USUAL_LIMITS = FanOutLimits()
LINGER_S = 5.0
CATCH_UP_TRIES_MAX = 100
CATCH_UP_PAUSE_S = 0.25
CATCH_UP_PAUSE_MAX_S = 5.0
RETRY_AFTER_MS = 500

_decode_updates = msgspec.msgpack.Decoder(list[Update[msgspec.Raw]]).decode


class Hosts(Protocol):
    """The router."""

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer: ...


class History(Protocol):
    """The event log, for events that are not in memory. May raise StoreError."""

    async def events_after(self, entity: int, after_seq: int, limit: int, /) -> list[LoggedEvent]: ...


class UpdatePages:
    """Decodes each page of updates once for all sources of a hub, which get it one after the other."""

    def __init__(self) -> None:
        self._message: bytes | None = None
        self._page: list[Update[msgspec.Raw]] = []

    def read(self, message: bytes) -> list[Update[msgspec.Raw]]:
        """The updates of a page; none if it can't be read."""
        if message is not self._message:
            self._message, self._page = message, []
            try:
                self._page = _decode_updates(message)
            except msgspec.MsgspecError as error:
                log.error("unreadable_update", error=str(error))
        return self._page


class EntityChannels(ChannelSource[EntityChannel]):
    """The source of the channels of one kind of entity. Anyone may subscribe."""

    linger_s = LINGER_S
    topics = tuple(map(updates_channel, range(CHANNEL_GROUPS)))

    def __init__(
        self, kind: str, hosts: Hosts, history: History, counts: FanOutCounts, limits: FanOutLimits = USUAL_LIMITS,
        pages: UpdatePages | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.prefix = f"{kind}:"
        self._kind = kind
        self._hosts = hosts
        self._history = history
        self._counts = counts
        self._limits = limits
        self._pages = pages or UpdatePages()
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, name: str, key: Hashable) -> EntityChannel:
        """A channel that is not loaded."""
        return EntityChannel(name, self._kind, cast(int, key), self._limits, self._counts)

    async def prepare(self, channel: EntityChannel, since: Position | None) -> list[EventFrame]:
        """Load the channel; returns the missed events that only the log has. Raises RequestFailed."""
        while not channel.loaded:
            if channel.loading is None:
                channel.loading = self._spawn(self._load(channel))
            await asyncio.shield(channel.loading)
        if since is None:
            return []
        # A client that comes from a gateway that was ahead must not get a state older than what it has.
        if (since.epoch, since.seq) > (channel.epoch, channel.seq) and not await self._ask_host(channel):
            raise RequestFailed(UNAVAILABLE, f"the {self._kind} can't be read now", RETRY_AFTER_MS)
        return await self._read_log(channel, since) if self._in_log_only(channel, since) else []

    async def stop(self) -> None:
        """Stop background tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- from its host

    async def _load(self, channel: EntityChannel) -> None:
        try:
            answer = await self._hosts.ask(GetState(channel.entity, self._kind))
            if isinstance(answer, StateAnswer):
                channel.load(answer)
            elif isinstance(answer, Refused):
                missing = answer.code == NOT_FOUND
                message = f"there is no such {self._kind}" if missing else f"the {self._kind} can't be read now"
                raise RequestFailed(answer.code, message, answer.retry_after_ms)
        finally:
            channel.loading = None

    async def _ask_host(self, channel: EntityChannel) -> bool:
        """Load the entity's state from its host; False if a retry may help."""
        answer = await self._hosts.ask(GetState(channel.entity, self._kind))
        if isinstance(answer, StateAnswer):
            channel.load(answer)
        return not isinstance(answer, Refused) or answer.code not in (UNAVAILABLE, OVERLOADED)

    async def _catch_up(self, channel: EntityChannel) -> None:
        """Updates may have been lost: ask the host for the entity's state until it answers."""
        for attempt in range(CATCH_UP_TRIES_MAX):
            if await self._ask_host(channel):
                return
            await asyncio.sleep(min(CATCH_UP_PAUSE_S * 2**attempt, CATCH_UP_PAUSE_MAX_S))

    # -- from the log

    def _in_log_only(self, channel: EntityChannel, since: Position) -> bool:
        missed, missed_max = channel.seq - since.seq, self._limits.resume_events_max
        first = channel.tail[0].seq if channel.tail else channel.seq + 1
        return since.epoch == channel.epoch and 0 < missed <= missed_max and first > since.seq + 1

    async def _read_log(self, channel: EntityChannel, since: Position) -> list[EventFrame]:
        if self._counts.log_reads_in_flight >= self._limits.log_reads_max:
            return []  # too many reads: the client gets a state instead
        self._counts.log_reads_in_flight += 1
        try:
            logged = await self._history.events_after(channel.entity, since.seq, self._limits.resume_events_max)
        except (StoreError, Unreadable) as error:
            log.warning("resume_from_log_failed", channel=channel.name, error=str(error))
            return []  # as well
        finally:
            self._counts.log_reads_in_flight -= 1
        return [EventFrame(channel.name, one.epoch, one.seq, one.type, one.at, one.data) for one in logged]

    # -- from Redis

    def received(self, message: bytes) -> None:
        """A page of updates."""
        channels = self.channels
        for update in self._pages.read(message):
            channel = channels.get(update.entity)
            if channel is not None and update.kind == self._kind:
                channel.apply(update)

    def missed(self) -> None:
        """Updates may have been lost: ask the hosts for all states."""
        self.moved(lambda _entity: True)

    def moved(self, is_moved: Callable[[int], bool]) -> None:
        for channel in self.channels.values():
            if is_moved(channel.entity):
                channel.close()
                channel.catching_up = self._spawn(self._catch_up(channel))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, RequestFailed):
            log.error("channel_task_failed", error=repr(error))
