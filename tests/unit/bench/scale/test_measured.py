"""The simulation of one node agrees with what was measured of one node, within the tolerance of docs/scale.md."""

from pathlib import Path

import pytest

from bench.scale.measured import NotMeasured, read
from bench.scale.simulation import Cluster, simulate

MEASURED = read()
CORES = MEASURED.machine["cores"]
BIDS_PER_S = 200.0
# Of throughput, and of latencies: the simulation has no other processes, and no scheduler.
RATE_WITHIN, LATENCY_TIMES = 0.05, 3.0
BUSY_WITHIN = 0.25


def test_a_rate_of_bids_that_held_is_carried_by_the_simulation_with_the_same_processor_time():
    step = MEASURED.held("bids")
    result = simulate(Cluster(1, CORES, 50, 0, step["size"], load_on_node=True), MEASURED.constants, 2.0)
    assert result.acked / result.window_s == pytest.approx(step["accepted_per_s"], rel=RATE_WITHIN)
    for part, measured in (("gateway", "gateway"), ("host", "hosts")):
        assert result.busy[part] == pytest.approx(step["cores"][measured], rel=BUSY_WITHIN, abs=0.05), part


def test_the_latency_of_that_rate_is_of_the_measured_size():
    step = MEASURED.held("bids")
    result = simulate(Cluster(1, CORES, 50, 0, step["size"], load_on_node=True), MEASURED.constants, 2.0)
    simulated = result.ack_p(0.5)
    assert simulated is not None
    assert step["ack_ms"]["p50"] / LATENCY_TIMES <= simulated <= step["ack_ms"]["p50"] * LATENCY_TIMES


def test_the_frames_and_the_latency_of_a_crowd_that_held_are_of_the_measured_size():
    step = MEASURED.held("watchers")
    result = simulate(Cluster(1, CORES, 1, step["size"], BIDS_PER_S), MEASURED.constants, 3.0)
    simulated = result.update_p(0.5)
    assert simulated is not None
    measured = step["update_ms"]["p50"]
    assert measured / LATENCY_TIMES <= simulated <= measured * LATENCY_TIMES
    frames_per_s = result.frames / result.window_s
    assert step["frames_per_s"] / LATENCY_TIMES <= frames_per_s <= step["frames_per_s"] * LATENCY_TIMES


def test_a_file_without_all_costs_says_what_is_missing(tmp_path: Path):
    file = tmp_path / "bids.json"
    file.write_text('{"kinds": {}, "costs": {"frame_us": 1}, "machine": {}}')
    with pytest.raises(NotMeasured, match="measure all kinds"):
        _ = read(file).constants
    with pytest.raises(NotMeasured, match="no size held: bids"):
        read(file).held("bids")
    file.write_text("nothing")
    with pytest.raises(NotMeasured):
        read(file)
