"""The simulated network: streams that delay, split and cut, and announcements that are lost, doubled and reordered."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

from persistence.redis.announcements import GAP_CHANNEL
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.trace import Trace

USUAL_DELAY_S = 0.0015
SLOW_DELAY_S = 0.05
SLOW_SHARE = 0.04
SPLIT_SHARE = 0.05
# Two messages of one stream never arrive at the same time, so they can't change places.
APART_S = 1e-9
HALF_OPEN_MAX_S = 1.5


class End(asyncio.Transport):
    """One end of a connection. What is written arrives at ``peer`` in order, or not at all once it is cut."""

    def __init__(self, network: "Network", owner: Process, name: str) -> None:
        super().__init__()
        self.owner = owner
        self.name = name
        self.peer: End
        self.received: Callable[[bytes], None] = lambda _: None
        self.lost: Callable[[], None] = lambda: None
        self.closed = False
        self._network = network
        self._told = False
        self._unread = 0
        self._last_at = 0.0

    def write(self, data: Any) -> None:
        if not self.closed:
            for piece in self._network.pieces(bytes(data)):
                self._unread += len(piece)
                self.peer.owner.call_at(self.next_arrival(), self.peer._arrive, piece)

    def next_arrival(self) -> float:
        """When (s) what is written now arrives."""
        self._last_at = max(self._last_at + APART_S, self._network.arrival(self.owner, self.peer.owner))
        return self._last_at

    def _arrive(self, data: bytes) -> None:
        self.peer._unread -= len(data)
        if not self.closed:
            self._network.trace(f"net {self.name} {len(data)}")
            self.received(data)

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return self._unread

    def close(self) -> None:
        """The peer gets what was written, and then the end."""
        if not self.closed:
            self.closed = True
            self.owner.call_at(self._network.now(), self._tell)
            self.peer.owner.call_at(self.next_arrival(), self.peer._hang_up)

    abort = close

    def cut(self, after_s: float) -> None:
        """What is under way is lost; this end learns of it only after this time."""
        self.closed = True
        self.owner.call_at(self._network.now() + after_s, self._tell)

    def _hang_up(self) -> None:
        self.closed = True
        self._tell()

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            self._network.trace(f"end {self.name}")
            self.lost()


class Network:
    """Connections between processes, by port."""

    def __init__(self, loop: SimulatedLoop, dice: random.Random, trace: Trace) -> None:
        self.trace = trace
        self.loop = loop
        self._dice = dice
        self._ports: dict[int, tuple[Process, Callable[[], Any]]] = {}
        self._connections: list[tuple[End, End]] = []
        # Until when (s) nothing gets through between two processes.
        self._partitions: dict[frozenset[Process], float] = {}
        # Nothing is cut, split or held from now on.
        self.healed = False
        loop.network = self

    def now(self) -> float:
        """Virtual seconds."""
        return self.loop.time()

    def delay_s(self) -> float:
        """The time that one message takes."""
        dice = self._dice
        slow = dice.random() < SLOW_SHARE
        return dice.random() * (SLOW_DELAY_S if slow else USUAL_DELAY_S)

    def arrival(self, source: Process, target: Process) -> float:
        """When (s) what is sent now arrives."""
        at = self.now() + self.delay_s()
        if self._partitions:
            at = max(at, self._partitions.get(frozenset((source, target)), 0.0))
        return at

    def pieces(self, data: bytes) -> list[bytes]:
        """How a stream splits what is written at once."""
        if len(data) < 2 or self._dice.random() >= SPLIT_SHARE:
            return [data]
        place = self._dice.randrange(1, len(data))
        return [data[:place], data[place:]]

    # -- connections

    def listen(self, process: Process, factory: Callable[[], Any]) -> Any:
        """As ``loop.create_server``."""
        port = 4_000 + len(self._ports)
        self._ports[port] = (process, factory)
        socket = SimpleNamespace(getsockname=lambda: ("127.0.0.1", port))
        return SimpleNamespace(sockets=[socket], close=lambda: self._ports.pop(port, None))

    async def connect(self, process: Process, factory: Callable[[], Any], port: int) -> tuple[End, Any]:
        """As ``loop.create_connection``."""
        server = self._ports.get(port)
        await self._until(self.arrival(process, process if server is None else server[0]))
        if server is None or not server[0].alive:
            raise ConnectionRefusedError(port)
        near = self.dial(process, server[0], lambda end: _attach(end, server[1]()))
        protocol = factory()
        _attach(near, protocol)
        return near, protocol

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self.now()))

    def dial(self, process: Process, server: Process, accept: Callable[[End], None]) -> End:
        """A new connection; its other end is given to ``accept`` in a moment, before all that is written here."""
        near, far = self._pair(process, server)
        server.call_at(near.next_arrival(), _accept, far, accept)
        return near

    def _pair(self, one: Process, other: Process) -> tuple[End, End]:
        number = len(self._connections)
        near, far = End(self, one, f"{one}<{other}#{number}"), End(self, other, f"{other}<{one}#{number}")
        near.peer, far.peer = far, near
        self._connections.append((near, far))
        return near, far

    # -- faults

    def ended(self, process: Process) -> None:
        """The process was killed: its peers get what it had written, and then the end."""
        for pair in self._connections:
            for end in pair:
                if end.owner is process:
                    end.close()

    def cut(self, one: Process, other: Process | None = None) -> None:
        """Cut all open connections of a process, or those between two. Each end learns of it in its own time."""
        for near, far in self._connections:
            if not (near.closed or far.closed) and one in (near.owner, far.owner) and (
                other is None or other in (near.owner, far.owner)
            ):  # fmt: skip
                for end in (near, far):
                    end.cut(self._dice.choice((0.0, 0.01, HALF_OPEN_MAX_S)) * self._dice.random())

    def part(self, one: Process, other: Process, for_s: float) -> None:
        """Hold what these two send to each other, for this time."""
        self._partitions[frozenset((one, other))] = self.now() + for_s


def _attach(end: End, protocol: Any) -> None:
    end.received = protocol.data_received
    end.lost = lambda: protocol.connection_lost(None)
    protocol.connection_made(end)


def _accept(end: End, accept: Callable[[End], None]) -> None:
    if not end.closed:
        accept(end)


class Bus:
    """Redis: announcements to all listeners, which may be lost, doubled and late.

    As over TCP, a loss ends with a new connection, of which the listener knows.
    """

    def __init__(self, network: Network, dice: random.Random) -> None:
        self.lossy = False
        self.down = False
        self.listeners: list[Listener] = []
        self._network = network
        self._dice = dice

    def send(self, source: Process, channel: str, message: bytes) -> bool:
        """Returns whether Redis took it."""
        if self.down:
            return False
        for listener in self.listeners:
            for _ in range(self._copies()):
                at = self._network.arrival(source, listener.owner)
                if not self.lossy:
                    at = listener.last_at = max(listener.last_at + APART_S, at)
                listener.owner.call_at(at, listener.arrive, channel, message)
        return True

    def _copies(self) -> int:
        return self._dice.choice((0, 0, 1, 1, 1, 2)) if self.lossy else 1

    def lose_some(self, for_s: float) -> None:
        """Lose, double and delay messages for this time."""
        self.lossy = True
        self._network.loop.call_later(for_s, self._back)

    def restart(self, for_s: float) -> None:
        """Away for this time."""
        self.down = True
        self._network.loop.call_later(for_s, self._back)

    def _back(self) -> None:
        """All listeners reconnect."""
        self.down = self.lossy = False
        for listener in self.listeners:
            listener.owner.call_at(self._network.now(), listener.arrive, GAP_CHANNEL, b"")


class Listener:
    """`persistence.redis.announcements.Listener`, of one gateway."""

    def __init__(self, bus: Bus, owner: Process) -> None:
        self.owner = owner
        self.connected = True
        self.last_at = 0.0
        self._heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        bus.listeners.append(self)

    def arrive(self, channel: str, message: bytes) -> None:
        self._heard.put_nowait((channel, message))

    async def messages(self) -> AsyncIterator[tuple[str, bytes] | None]:
        yield None
        while True:
            channel, message = await self._heard.get()
            yield None if channel == GAP_CHANNEL else (channel, message)

    async def close(self) -> None:
        self.connected = False


class Announcer:
    """`persistence.redis.announcements.Announcer`, of one process."""

    waiting = 0

    def __init__(self, bus: Bus, owner: Process) -> None:
        self.dropped = 0
        self._bus = bus
        self._owner = owner
        self._lost = False

    def start(self) -> None:
        pass

    def publish(self, channel: str, message: bytes) -> None:
        if not self._bus.send(self._owner, channel, message):
            self._lost = True
            self.dropped += 1
        elif self._lost:
            self._lost = False
            self._bus.send(self._owner, GAP_CHANNEL, b"")

    async def stop(self) -> None:
        pass
