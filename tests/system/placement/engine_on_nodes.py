"""An engine on a Ray of several nodes: a head with the director, others with hosts. And what its directory says."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

from engines import Up

from actors.hosting.load_report import load_report_of
from ece.data_dir import RunState
from persistence.placement.directory import Directory, HostAddress
from persistence.placement.operator_overrides import OperatorOverrides
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import Pool, close_pool, open_pool
from tests.faults.scene import Scene, until
from tests.system.placement.ray_heads import RayHead, is_host

SLOTS = 256
HOSTS_OF_A_NODE = 2
WATCH_EVERY_S = 0.05
WARNINGS_SHOWN = 10
STILL_NS = 500_000_000
BEATS_EVERY_S = 0.5
# A starved host: it has little left of its lease, and without one it answers refusals with ``unavailable``.
LATE_BEAT_MS = 1_500
# A host that could not beat for so long loses what it keeps, and has it again some moments later.
EXCUSED_FOR_NS = 6_000_000_000


class EngineOnNodes:
    """With one host that keeps slots and one that stands by on every node, and two gateways."""

    def __init__(self, head: RayHead, up: Up, state: RunState) -> None:
        self.head = head
        self.up = up
        self.state = state
        self.raylets: list[int] = []
        self._pool: Pool | None = None
        self._stood_still: list[int] = []

    async def add_node(self) -> None:
        self.raylets.append(await asyncio.to_thread(self.head.add_node))

    async def kill_node(self) -> str:
        """kill -9 of the raylet of the node that joined last; Ray has its hosts end. The node."""
        before = await self.nodes()
        os.kill(self.raylets.pop(), signal.SIGKILL)
        await until(lambda: self._fewer_than(before), "the hosts of the dead node have ended")
        [gone] = before - await self.nodes()
        return gone

    async def nodes(self) -> set[str]:
        """Those that have living hosts."""
        return {host.node for host in await self.living()}

    async def _fewer_than(self, nodes: set[str]) -> bool:
        return await self.nodes() < nodes

    @asynccontextmanager
    async def scene(self) -> AsyncIterator[Scene]:
        """Load on auctions of all nodes, of which there are at least two, with all their hosts."""
        self._pool = await open_pool(self.state.database_url, size_max=2)
        watching = [asyncio.create_task(self._watch_machine()), asyncio.create_task(self._watch_beats())]
        try:
            async with self._load() as scene:
                yield scene
        finally:
            for watcher in watching:
                watcher.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await close_pool(self._pool)

    def disturbed(self, scene: Scene) -> list[str]:
        """Why clients had to come or send again, but for what followed a time in which this machine stood still."""
        excused = [(at_ns, at_ns + EXCUSED_FOR_NS) for at_ns in self._stood_still]
        again = [(at, why) for at, why in scene.recording.retries if not any(a <= at <= b for a, b in excused)]
        if again:
            tell(f"at {[at for at, _ in again]}; this machine stood still at {self._stood_still}\n{self._warnings()}")
        return [why for _, why in again] + ["a lost connection"] * scene.recording.lost_connections

    def _warnings(self) -> str:
        """What the processes have warned of last."""
        logs = {path.name: path.read_text().splitlines() for path in sorted(self.up.data_dir.logs.glob("*.log"))}
        warned = {name: [line for line in lines if "warning" in line] for name, lines in logs.items()}
        return "\n".join(f"{name}: {line}" for name, lines in warned.items() for line in lines[-WARNINGS_SHOWN:])

    async def _watch_machine(self) -> None:
        """Note when this process did not get the processor: then hosts do not beat in time either."""
        while True:
            asked_ns = time.monotonic_ns()
            await asyncio.sleep(WATCH_EVERY_S)
            if time.monotonic_ns() - asked_ns > STILL_NS:
                self._stood_still.append(asked_ns)

    async def _watch_beats(self) -> None:
        """Note when a heartbeat is late: where the processors are not busy, none is."""
        while True:
            await asyncio.sleep(BEATS_EVERY_S)
            asked_ns, now_ms = time.monotonic_ns(), time.time_ns() // 1_000_000
            with suppress(StoreError):
                if late := [h for h in await self.living() if now_ms - h.alive_at > LATE_BEAT_MS]:
                    oldest_ms = now_ms - min(host.alive_at for host in late)
                    tell(f"{[host.host_id for host in late]}: the last heartbeat was {oldest_ms} ms ago")
                    self._stood_still.append(asked_ns - oldest_ms * 1_000_000)

    @asynccontextmanager
    async def _load(self) -> AsyncIterator[Scene]:
        while len(self.raylets) < 2:
            await self.add_node()
        await self.spread_over(len(self.raylets))
        secret = self.up.key_secrets
        async with Scene(self.state.url, self.state.database_url, secret, auctions=8) as scene:
            scene.start()
            await flow(scene)
            yield scene

    async def spread_over(self, nodes: int) -> None:
        """Wait until so many nodes have their hosts, and each of them its share of all slots."""

        async def even() -> bool:
            hosts = await self.living()
            there: dict[str, list[int]] = {host.node: [] for host in hosts}
            for host in hosts:
                there[host.node].append(len(host.slots))
            shares = [sum(slots) for slots in there.values()]
            complete = len(there) == nodes and all(len(slots) == HOSTS_OF_A_NODE for slots in there.values())
            return complete and sum(shares) == SLOTS and max(shares) - min(shares) <= 1

        try:
            await until(even, f"{nodes} nodes have their hosts and their shares")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{await self._how_it_stands()}") from None

    async def _how_it_stands(self) -> str:
        """What one needs to know when it is not as it should be."""
        hosts = [f"{h.host_id} on {h.node[:8]}: {len(h.slots)} slots" for h in await self.living()]
        log = self.up.data_dir.logs / "director.log"
        return "\n".join([*hosts, self.up.output[-3_000:], *log.read_text().splitlines()[-30:]])

    async def all_kept(self) -> None:
        """Wait until every slot is kept by a host that lives."""

        async def kept() -> bool:
            return sum(len(host.slots) for host in await self.living()) == SLOTS

        await until(kept, "all slots are with living hosts")

    async def living(self) -> list[HostAddress]:
        """The hosts whose processes run and serve."""
        return [host for host in await self.directory.hosts() if is_host(load_report_of(host.load_report).pid)]

    @property
    def directory(self) -> Directory:
        return Directory(self._database)

    @property
    def overrides(self) -> OperatorOverrides:
        return OperatorOverrides(self._database)

    @property
    def _database(self) -> Pool:
        assert self._pool is not None, "only within a scene"
        return self._pool

    async def end(self, process: int, another: Callable[[], int | None], what: str) -> None:
        """kill -9, and wait until another has taken its place."""
        os.kill(process, signal.SIGKILL)
        await until(lambda: another() not in (None, 0, process), f"another {what} runs")


@contextmanager
def engine_on_nodes() -> Iterator[EngineOnNodes]:
    """Two nodes with hosts, to begin with."""
    with (
        RayHead(redis=False, cores=0) as head,
        tempfile.TemporaryDirectory(prefix="ece-nodes-", ignore_cleanup_errors=True) as home,
    ):
        raylets = [head.add_node(), head.add_node()]
        # Bidders are quick enough to make auctions hot: here the hosts of nodes are what is counted.
        settings = {
            "ECE_RAY_ADDRESS": head.address,
            "ECE_GATEWAYS": "2",
            "ECE_BCRYPT_COST": "4",
            "ECE_DEDICATED_MAX": "0",
        }
        with closing(Up(Path(home), **settings, **head.token)) as up:
            up.start()
            engine = EngineOnNodes(head, up, up.wait_until_ready())
            engine.raylets = raylets
            yield engine


async def flow(scene: Scene) -> float:
    """Wait until a bid that was made from now on is acknowledged in every auction; how long that took, in seconds."""
    began_ns = time.monotonic_ns()
    begin = len(scene.recording.acks)

    def everywhere() -> bool:
        new = {ack.order.auction for ack in scene.recording.acks[begin:] if ack.order.sent_ns >= began_ns}
        return new == set(scene.auctions)

    await until(everywhere, "bids flow in every auction")
    return (time.monotonic_ns() - began_ns) / 1e9


def longest_silence(scene: Scene, since_ns: int) -> float:
    """The longest time, in seconds, in which an auction had no ack since then."""
    longest = 0
    for auction in scene.auctions:
        times = [ack.answered_ns for ack in scene.recording.acks if ack.order.auction == auction]
        steps = [since_ns, *(at for at in times if at > since_ns)]
        longest = max(longest, *(after - before for before, after in pairwise(steps)))
    return longest / 1e9


def tell(what: str) -> None:
    """Something measured, for those who look at a test's output."""
    sys.stdout.write(f"{what}\n")
