"""A closed-form model of a cluster: how much of each resource a load takes, and which one is used up first."""

from dataclasses import dataclass

import msgspec

from bench.scale.constants import Constants

# Above this share of a resource, queues grow faster than a service level allows.
USABLE_SHARE = 0.7
PUBLISHES_PER_HOST_S = 200
FRAMES_PER_WATCHER_S = 50.0
US = 1e-6


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster and its load. `bids_per_s` are of all auctions, spread evenly; each socket watches one auction.

    `nodes` have a gateway and a host each, with `cores` cores; PostgreSQL and Redis have a machine each.
    """

    nodes: int
    sockets: int
    auctions: int
    bids_per_s: float
    cores: int = 2
    node_gib: float = 8.0
    log_mb_per_s: float = 200.0
    network_gbit_per_s: float = 10.0


@dataclass(frozen=True)
class Demand:
    """What a load takes of one resource; `share` 1 is all of it. `changes`: what to do when it is used up."""

    resource: str
    used: float
    available: float
    unit: str
    changes: str

    @property
    def share(self) -> float:
        """Used as a share of what is available."""
        return self.used / self.available


def demands(plan: Plan, costs: Constants) -> list[Demand]:
    """The demand on each resource, the scarcest first."""
    found = [
        _gateway(plan, costs), _host(plan, costs), _database(plan, costs), _log(plan, costs), _redis(plan, costs),
        _memory(plan, costs),
    ]  # fmt: skip
    return sorted(found, key=lambda demand: demand.share, reverse=True)


def carries(plan: Plan, costs: Constants) -> float:
    """The bids per second at which the first resource reaches USABLE_SHARE, with everything else as planned.

    0 where the sockets and auctions alone take more.
    """
    low, high = 0.0, 1e9
    for _ in range(60):
        middle = (low + high) / 2
        tried = msgspec.structs.replace(plan, bids_per_s=middle)
        low, high = (middle, high) if demands(tried, costs)[0].share <= USABLE_SHARE else (low, middle)
    return low


def updates_per_s(plan: Plan) -> float:
    """Updates published by all hosts: bids of one auction between two messages of its host are one update."""
    per_auction = plan.bids_per_s / plan.auctions
    return plan.auctions * min(per_auction, PUBLISHES_PER_HOST_S)


def frames_per_s(plan: Plan) -> float:
    """Frames to the watchers of all auctions."""
    return plan.sockets * min(plan.bids_per_s / plan.auctions, FRAMES_PER_WATCHER_S)


def _publishes_per_s(plan: Plan) -> float:
    """Messages to Redis: up to 16 channel groups for each publication of a host."""
    return min(updates_per_s(plan), plan.nodes * PUBLISHES_PER_HOST_S * 16.0)


def _gateway(plan: Plan, costs: Constants) -> Demand:
    """One thread: its own bids and frames, and every message of the whole cluster."""
    own_us = plan.bids_per_s * costs.gateway_us_per_bid + frames_per_s(plan) * costs.frame_us
    used = (own_us / plan.nodes + _publishes_per_s(plan) * costs.receive_us_per_message) * US
    return Demand(
        "processor of a gateway", used, 1.0, "cores",
        "more gateways for bids and frames; subscribe each gateway only to the groups that it watches",
    )  # fmt: skip


def _host(plan: Plan, costs: Constants) -> Demand:
    bids = plan.bids_per_s / plan.nodes
    # Batches grow with the load: the cost of a batch is paid at most once for each bid, and 2,000 times a second.
    used = (bids * costs.host_us_per_bid + min(bids, 2_000.0) * costs.host_us_per_batch) * US
    return Demand("processor of a host", used, 1.0, "cores", "more hosts; a hot auction gets a dedicated host")


def _database(plan: Plan, costs: Constants) -> Demand:
    commits = min(plan.bids_per_s, plan.nodes * 2_000.0)
    used = (plan.bids_per_s * costs.postgres_us_per_bid + commits * costs.postgres_us_per_commit) * US
    return Demand(
        "processors of PostgreSQL", used, float(plan.cores), "cores",
        "more cores; then several databases, each with the log of a range of slots",
    )  # fmt: skip


def _log(plan: Plan, costs: Constants) -> Demand:
    used = plan.bids_per_s * costs.log_bytes_per_bid / 1e6
    return Demand("log of PostgreSQL", used, plan.log_mb_per_s, "MB/s", "faster disks; then several databases by slot")


def _redis(plan: Plan, costs: Constants) -> Demand:
    """One thread: each message is written to every gateway."""
    used = _publishes_per_s(plan) * plan.nodes * costs.redis_us_per_publish * US
    return Demand(
        "processor of Redis", used, 1.0, "cores",
        "sharded pub/sub by group; gateways subscribe only to the groups that they watch",
    )  # fmt: skip


def _memory(plan: Plan, costs: Constants) -> Demand:
    sockets, auctions = plan.sockets / plan.nodes, plan.auctions / plan.nodes
    used = costs.gateway_bytes + costs.host_bytes + sockets * costs.socket_bytes + auctions * costs.auction_bytes
    return Demand("memory of a node", used / 2**30, plan.node_gib, "GiB", "more nodes, or nodes with more memory")
