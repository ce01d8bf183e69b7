"""`ece chaos` as a user runs it."""

import json
import os
import subprocess
import sys

import pytest

RUN_TIMEOUT_S = 300


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ECE_")}
    return subprocess.run(
        [sys.executable, "-m", "ece.cli", "chaos", *arguments],
        env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
    )  # fmt: skip


@pytest.mark.timeout(RUN_TIMEOUT_S)
def test_a_run_with_faults_of_every_kind_loses_nothing():
    done = chaos("--seconds", "20", "--every", "3", "--seed", "4", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert (figures["seed"], figures["lost"], figures["violations"]) == (4, 0, [])
    assert figures["faults"] >= 4
    assert figures["acks"] > 100
    assert figures["trades"] > 0
    assert figures["minted"] >= 8
    assert 0 < figures["recovered_s"]["median"] <= figures["recovered_s"]["worst"]


def test_a_part_that_there_is_not_is_refused_before_anything_starts():
    done = chaos("--part", "printer")
    assert done.returncode == 1
    assert "--part printer: there is no such part. Parts are host, director" in done.stderr
