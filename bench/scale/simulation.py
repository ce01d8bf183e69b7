"""A discrete-event simulation of bids and updates: clients, gateways, hosts, the log, Redis, watchers.

Seeded and without a wall clock: the same arguments give the same result.
"""

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.scale.constants import Constants
from bench.scale.cores import Clock, Node, Thread
from bench.scale.parts import CHANNEL_GROUPS, US, Bid, Channel, Host, Log
from bench.scale.result import Result


@dataclass(frozen=True)
class Cluster:
    """`nodes` machines with a gateway and a host each. PostgreSQL and Redis have a machine each, unless `nodes` is 1.

    Watchers are spread evenly over the auctions, and those of an auction over the gateways. `load_on_node`: the load
    generator works on the cores of the first node, as it does in the measurements.
    """

    nodes: int
    cores: int
    auctions: int
    watchers: int
    bids_per_s: float
    load_on_node: bool = False


def simulate(cluster: Cluster, costs: Constants, seconds: float, *, warmup_s: float = 0.5, seed: int = 1) -> Result:
    """Run the cluster for `warmup_s` and then `seconds`. Bids are due at fixed intervals (open loop)."""
    return _Simulation(cluster, costs, seconds, warmup_s, seed).run()


class _Simulation:
    def __init__(self, cluster: Cluster, costs: Constants, seconds: float, warmup_s: float, seed: int) -> None:
        self._cluster, self._costs = cluster, costs
        self._clock = Clock()
        self._random = random.Random(seed)
        self._from_s, self._to_s = warmup_s, warmup_s + seconds
        self._result = Result(seconds)
        nodes = [Node(self._clock, cluster.cores) for _ in range(cluster.nodes)]
        shared = nodes[0] if cluster.nodes == 1 else Node(self._clock, cluster.cores)
        self._redis = Thread(shared if cluster.nodes == 1 else Node(self._clock, cluster.cores), "redis")
        self._client = Thread(nodes[0], "load") if cluster.load_on_node else None
        self._gateways = [Thread(node, "gateway") for node in nodes]
        log = Log(self._clock, costs.flush_ms / 1000)
        self._host_threads = [Thread(node, "host") for node in nodes]
        self._backends = [Thread(shared, "postgres") for _ in nodes]
        self._hosts = [
            Host(thread, backend, log, costs, self._committed, self._publish)
            for thread, backend in zip(self._host_threads, self._backends, strict=True)
        ]
        self._channels: dict[tuple[int, int], Channel] = {}
        self._in_flight = 0
        self._changed_s = 0.0
        self._area = 0.0

    def run(self) -> Result:
        bids = int(self._to_s * self._cluster.bids_per_s)
        self._send(0, bids)
        threads = [self._redis, *self._gateways, *self._host_threads, *self._backends]
        self._clock.run_until(self._from_s)
        before = {thread: thread.busy_s for thread in threads}
        frames = sum(channel.frames for channel in self._channels.values())
        self._clock.run_until(self._to_s)
        self._count(0)
        self._result.frames = sum(channel.frames for channel in self._channels.values()) - frames
        self._result.in_flight = self._in_flight
        self._result.mean_in_flight = self._area / self._result.window_s
        busy: dict[str, float] = defaultdict(float)
        for thread in threads:
            share = (thread.busy_s - before[thread]) / self._result.window_s
            # The processes of PostgreSQL are many, and share its cores.
            of_all = busy["postgres"] + share / self._cluster.cores
            busy[thread.name] = of_all if thread.name == "postgres" else max(busy[thread.name], share)
        self._result.busy = dict(busy)
        return self._result

    # -- the path of a bid

    def _send(self, number: int, bids: int) -> None:
        """Send this bid, and the next one when it is due."""
        due_s = number / self._cluster.bids_per_s
        auction = self._random.randrange(self._cluster.auctions)
        bid = Bid(due_s, auction, self._random.randrange(self._cluster.nodes))
        self._count(1)
        if due_s >= self._from_s:
            self._result.sent += 1
        half_us = self._costs.gateway_us_per_bid / 2
        gateway, host = self._gateways[bid.gateway], self._hosts[bid.auction % self._cluster.nodes]
        self._by_client(lambda: gateway.add(half_us * US, lambda: host.receive(bid)))
        if number + 1 < bids:
            wait_s = (number + 1) / self._cluster.bids_per_s - self._clock.now_s
            self._clock.after(wait_s, lambda: self._send(number + 1, bids))

    def _by_client(self, done: Callable[[], None]) -> None:
        """The load generator's own work, where it shares the node."""
        if self._client is None:
            done()
        else:
            self._client.add(self._costs.client_us_per_bid / 2 * US, done)

    def _committed(self, batch: list[Bid]) -> None:
        half_us = self._costs.gateway_us_per_bid / 2
        for bid in batch:
            self._gateways[bid.gateway].add(half_us * US, partial(self._by_client, partial(self._acked, bid)))

    def _acked(self, bid: Bid) -> None:
        self._count(-1)
        if self._clock.now_s >= self._from_s:
            self._result.acked += 1
        if bid.due_s >= self._from_s:
            self._result.ack_ms.append((self._clock.now_s - bid.due_s) * 1000)

    def _count(self, change: int) -> None:
        """Add to the bids in flight, and to their integral over the window."""
        now_s = self._clock.now_s
        self._area += self._in_flight * max(0.0, min(now_s, self._to_s) - max(self._changed_s, self._from_s))
        self._changed_s = now_s
        self._in_flight += change

    # -- the path of an update

    def _publish(self, bids: list[Bid]) -> None:
        """A message for each group to Redis, which sends it to every gateway; each reads all of it."""
        by_auction: dict[int, list[Bid]] = defaultdict(list)
        for bid in bids:
            by_auction[bid.auction].append(bid)
        # One page for each group of channels.
        messages = len({auction % CHANNEL_GROUPS for auction in by_auction})
        receive_us = self._costs.receive_us_per_message * messages

        def published() -> None:
            for number, gateway in enumerate(self._gateways):
                gateway.add(receive_us * US, partial(self._received, number, by_auction))

        self._redis.add(self._costs.redis_us_per_publish * messages * self._cluster.nodes * US, published)

    def _received(self, gateway: int, by_auction: dict[int, list[Bid]]) -> None:
        for auction, bids in by_auction.items():
            channel = self._channels.get((gateway, auction)) or self._open(gateway, auction)
            channel.update(bids)

    def _open(self, gateway: int, auction: int) -> Channel:
        cluster = self._cluster
        of_auction = cluster.watchers // cluster.auctions + (auction < cluster.watchers % cluster.auctions)
        here = of_auction // cluster.nodes + ((gateway + auction) % cluster.nodes < of_auction % cluster.nodes)
        channel = Channel(self._gateways[gateway], here, self._costs.frame_us, self._delivered)
        self._channels[gateway, auction] = channel
        return channel

    def _delivered(self, watchers: int, bid: Bid) -> None:
        if bid.due_s >= self._from_s:
            self._result.update_ms[int((self._clock.now_s - bid.due_s) * 1000)] += watchers
