"""The closed form: what is used up first, and that it moves with its constants."""

import msgspec
import pytest

from bench.scale.model import Plan, carries, demands, frames_per_s, updates_per_s
from tests.unit.bench.scale.test_cluster_simulation import COSTS

PLAN = Plan(nodes=10, sockets=100_000, auctions=10_000, bids_per_s=1_000)


def test_the_scarcest_resource_comes_first():
    shares = [demand.share for demand in demands(PLAN, COSTS)]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 6


@pytest.mark.parametrize(
    ("constant", "resource"),
    [
        ("host_us_per_bid", "processor of a host"),
        ("postgres_us_per_bid", "processors of PostgreSQL"),
        ("log_bytes_per_bid", "log of PostgreSQL"),
        ("redis_us_per_publish", "processor of Redis"),
        ("frame_us", "processor of a gateway"),
        ("socket_bytes", "memory of a node"),
    ],
)
def test_what_costs_a_thousand_times_more_is_used_up_first(constant: str, resource: str):
    costs = msgspec.structs.replace(COSTS, **{constant: getattr(COSTS, constant) * 1_000})
    assert demands(PLAN, costs)[0].resource == resource


def test_what_a_cluster_carries_is_where_its_scarcest_resource_is_nearly_used_up():
    most = carries(PLAN, COSTS)
    at_most = demands(msgspec.structs.replace(PLAN, bids_per_s=most), COSTS)[0].share
    assert at_most == pytest.approx(0.7, abs=0.001)


def test_every_gateway_reads_every_update_so_more_nodes_do_not_always_carry_more():
    few, many = (carries(msgspec.structs.replace(PLAN, nodes=nodes), COSTS) for nodes in (10, 1_000))
    assert many < few


def test_frames_are_conflated_for_watchers_of_hot_auctions():
    hot = Plan(nodes=1, sockets=1_000, auctions=1, bids_per_s=10_000)
    assert (frames_per_s(hot), updates_per_s(hot)) == (50_000, 200)
