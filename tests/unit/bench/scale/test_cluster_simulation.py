"""The simulation obeys the laws of queues, and repeats itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.scale.constants import Constants
from bench.scale.cores import Clock, Node, Thread
from bench.scale.simulation import Cluster, simulate

COSTS = Constants(
    gateway_us_per_bid=30, host_us_per_bid=20, host_us_per_batch=150, postgres_us_per_bid=12,
    postgres_us_per_commit=120, flush_ms=0.2, redis_us_per_publish=15, receive_us_per_message=15, frame_us=8,
    client_us_per_bid=10, log_bytes_per_bid=700, socket_bytes=30_000, auction_bytes=3_000, gateway_bytes=10**8,
    host_bytes=7 * 10**7,
)  # fmt: skip
clusters = st.builds(
    Cluster, nodes=st.integers(1, 4), cores=st.integers(1, 4), auctions=st.integers(1, 20),
    watchers=st.integers(0, 500), bids_per_s=st.floats(50, 20_000), load_on_node=st.booleans(),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(clusters, st.integers(0, 2**32))
def test_no_bid_is_lost_or_made_up(cluster: Cluster, seed: int):
    result = simulate(cluster, COSTS, 0.2, warmup_s=0.0, seed=seed)
    assert result.sent == result.acked + result.in_flight
    assert result.sent == pytest.approx(0.2 * cluster.bids_per_s, abs=1)


@settings(max_examples=25, deadline=None)
@given(clusters, st.integers(0, 2**32))
def test_no_thread_works_more_than_all_the_time_and_no_node_more_than_its_cores(cluster: Cluster, seed: int):
    busy = simulate(cluster, COSTS, 0.2, warmup_s=0.05, seed=seed).busy
    assert all(share <= 1.05 for share in busy.values())


@pytest.mark.parametrize("bids_per_s", [500, 5_000, 15_000])
def test_bids_in_flight_are_their_rate_times_their_time(bids_per_s: int):
    """Little's law: L = λ W, in a steady state."""
    result = simulate(Cluster(1, 2, 50, 0, bids_per_s), COSTS, 2.0)
    mean_s = sum(result.ack_ms) / len(result.ack_ms) / 1000
    assert result.mean_in_flight == pytest.approx(result.acked / 2.0 * mean_s, rel=0.02)


def test_a_load_above_what_the_gateway_can_do_is_accepted_at_its_rate_and_the_rest_waits():
    result = simulate(Cluster(1, 4, 50, 0, 60_000), COSTS, 0.5)
    assert result.busy["gateway"] == pytest.approx(1.0, abs=0.02)
    # Its time is shared with bids that are not answered yet: half of their cost each.
    assert result.acked / 0.5 < 1e6 / COSTS.gateway_us_per_bid
    assert result.in_flight > 5_000


def test_every_watcher_gets_every_bid_within_an_interval_of_the_broadcasts():
    result = simulate(Cluster(1, 4, 1, 1_000, 200), COSTS, 2.0)
    # Those of the last interval have not arrived yet.
    assert 0.9 * 400 * 1_000 < result.update_ms.total() <= 400 * 1_000
    p99 = result.update_p(0.99)
    assert p99 is not None
    assert 20 <= p99 <= 70


def test_ten_times_the_watchers_wait_longer_but_not_ten_times():
    few, many = (simulate(Cluster(1, 4, 1, watchers, 200), COSTS, 2.0).update_p(0.99) for watchers in (1_000, 10_000))
    assert few is not None
    assert many is not None
    assert few < many < 5 * few


def test_the_same_seed_gives_the_same_result_and_another_one_another():
    cluster = Cluster(2, 2, 10, 100, 3_000)
    assert simulate(cluster, COSTS, 0.3, seed=7) == simulate(cluster, COSTS, 0.3, seed=7)
    assert simulate(cluster, COSTS, 0.3, seed=7).ack_ms != simulate(cluster, COSTS, 0.3, seed=8).ack_ms


def test_two_threads_on_one_core_take_turns():
    clock = Clock()
    node = Node(clock, cores=1)
    order: list[str] = []
    for name in ("a", "b"):
        thread = Thread(node, name)
        for _ in range(2):
            thread.add(1.0, lambda name=name: order.append(f"{name} at {clock.now_s:g}"))  # type: ignore[misc]
    clock.run_until(10.0)
    assert order == ["a at 1", "b at 2", "a at 3", "b at 4"]
    assert node.busy_s == 4.0


def test_two_cores_run_two_threads_at_once_but_never_one_thread_twice():
    clock = Clock()
    node = Node(clock, cores=2)
    ends: list[float] = []
    first, second = Thread(node, "a"), Thread(node, "b")
    for thread in (first, first, second):
        thread.add(1.0, lambda: ends.append(clock.now_s))
    clock.run_until(10.0)
    assert ends == [1.0, 1.0, 2.0]
