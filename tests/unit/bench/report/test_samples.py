"""What is sampled, and how it is put together."""

import mmap
import os
from contextlib import closing

import pytest

from bench.report.metrics import values_of
from bench.report.processes import MIB, ProcessSamples
from bench.report.sampling import Samples, rates

EXPOSITION = """\
# TYPE ece_host_inbox gauge
ece_host_inbox{host="a"} 3
ece_host_inbox{host="b"} 4
# TYPE ece_host_commit_seconds gauge
ece_host_commit_seconds{host="a"} 0.002
ece_host_commit_seconds{host="b"} 0.005
# TYPE ece_jobs gauge
ece_jobs{kind="mail",state="waiting"} 2
ece_jobs{kind="mail",state="dead"} 9
# TYPE ece_host_commits counter
ece_host_commits_total{host="a"} 70
# TYPE something_else gauge
something_else 1
"""


def test_queues_of_all_hosts_are_added_up_and_of_commits_the_slowest_counts():
    assert values_of(EXPOSITION) == {
        "queue.host inbox": 7.0, "log.commit_ms": 5.0, "queue.background jobs": 2.0, "log.commits": 70.0,
    }  # fmt: skip


def test_counters_become_rates_and_one_that_began_again_has_none():
    before = {"db.commits": 10.0, "db.wal_bytes": 500.0}
    now = {"db.commits": 30.0, "db.wal_bytes": 100.0, "db.deadlocks": 1.0}
    assert rates(before, now, 2.0) == {"db.commits_per_s": 10.0}


def test_the_mean_time_in_the_engine_follows_from_sum_and_count():
    found = rates(
        {"engine_ack.count": 0.0, "engine_ack.sum_s": 0.0}, {"engine_ack.count": 4.0, "engine_ack.sum_s": 0.1}, 1.0
    )
    assert found["engine_ack.mean_ms"] == 25.0


def test_samples_are_put_into_intervals_and_a_gap_stays_one():
    samples = Samples()
    for at_s, value in ((99.0, 9.0), (100.2, 1.0), (100.8, 3.0), (103.0, 5.0)):
        samples.add(at_s, {"x": value})
    assert samples.between(100, 104).over_time(1.0, 4) == {"x": [2.0, None, None, 5.0]}


def test_memory_and_processors_of_this_very_process():
    samples = ProcessSamples(lambda: {"tests": [os.getpid()], "gone": [2**22 + 1]})
    first = samples.read()
    assert first["processes"] == 1
    assert first["rss_mib.tests"] >= first["pss_mib.tests"] > 5
    assert "cpu.tests" not in first
    with closing(mmap.mmap(-1, 32 * MIB)) as shared:
        shared[::4096] = b"x" * (len(shared) // 4096)
        with_shared = ProcessSamples(lambda: {"tests": [os.getpid()]}).read()
    assert with_shared["shared_mib"] - first["shared_mib"] == pytest.approx(32, abs=4)
    assert with_shared["pss_mib.tests"] - first["pss_mib.tests"] < 16
    second = samples.read()
    assert 0 <= second["cpu.tests"] < 64
    # The proportional share is read less often: it takes longer.
    assert "pss_mib.tests" not in second
