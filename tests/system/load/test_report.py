"""`ece bench report` as a user runs it, and its check against the log of a real engine."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engines import SharedEngine

from bench.faults.recording import Acked
from bench.faults.scene import Scene
from bench.locust.results import BidAck, BidRefused, Result
from bench.report.check import Sent, check
from bench.report.result import Result as Stored
from bench.report.sorted_acks import SortedAcks
from ece.engine.accounts import ProvisionedAccounts

RUN_TIMEOUT_S = 300


def report(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ECE_")}
    return subprocess.run(
        [sys.executable, "-m", "ece.cli", "bench", "report", *arguments],
        env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
    )  # fmt: skip


@pytest.mark.timeout(2 * RUN_TIMEOUT_S)
def test_a_short_run_is_sampled_checked_and_drawn_and_one_lost_bid_makes_it_fail(tmp_path):
    done = report("--profile", "smoke", "--seconds", "12", "--out", str(tmp_path), "--json")
    figures = json.loads(done.stdout)
    assert figures["profile"] == "smoke"
    assert (figures["lost"], figures["violations"]) == (0, []), done.stderr
    assert {"lost", "violations", "ack_p99_ms", "rest_p95_ms", "error_share"} <= {one["name"] for one in figures["slo"]}
    assert done.returncode == (0 if all(one["met"] for one in figures["slo"]) else 1), done.stdout
    assert figures["acks"] > 20
    stored = msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Stored)
    for name in ("cpu.hosts", "cpu.postgres", "pss_mib.gateway", "db.commits_per_s", "log.commits_per_s"):
        assert any(value for value in stored.samples[name] if value), name
    assert sum(stored.over_time.kinds["ack"].per_s) > 20
    assert "<svg" in (tmp_path / "report.html").read_text()
    _false_engine(stored, tmp_path)


def _false_engine(stored: Stored, home: Path) -> None:
    """The same report, of an engine that has lost a bid."""
    checked = msgspec.structs.replace(stored.checked, lost=1, by_kind={"lost": 1})
    slo = [msgspec.structs.replace(one, measured=1, met=False) if one.name == "lost" else one for one in stored.slo]
    (home / "false.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(stored, checked=checked, slo=slo)))
    done = report("--from", str(home / "false.json"), "--out", str(home / "false"), "--json")
    assert (done.returncode, json.loads(done.stdout)["lost"]) == (1, 1), done.stderr
    assert "1 acknowledged bid is lost" in (home / "false" / "report.html").read_text()


def line(acked: Acked) -> Result:
    fields: dict[str, Any] = asdict(acked)
    return Result(1.0, "ack", "bid", 1.0, None, BidAck(**fields.pop("order"), **fields))


async def test_an_ack_that_the_log_of_an_engine_does_not_have_is_lost(engine: SharedEngine, tmp_path: Path):
    accounts = ProvisionedAccounts(engine.database_url, engine.key_secrets)
    async with Scene(engine.base_url, engine.database_url, accounts, auctions=2, bidders=4, watchers=0) as scene:
        scene.start()
        await scene.more_acks(50)
        await scene.quiet()
        acks = scene.recording.acks
        refused = [
            Result(
                1.0, "ack", "bid", 1.0, one.code, None,
                BidRefused(**asdict(one.order), price=one.price, minimum=one.minimum, server_time=one.server_time),
            )
            for one in scene.recording.refused
        ]  # fmt: skip
        invented = replace(acks[-1], order=replace(acks[-1].order, key="never sent"), seq=acks[-1].seq + 10_000)
        for number, (more, found) in enumerate((([], {}), ([invented], {"lost": 1}))):
            (tmp_path / str(number)).mkdir()
            sent = Sent(SortedAcks(tmp_path / str(number)))
            for result in (*map(line, [*acks, *more]), *refused):
                sent.add(result)
            checked = await check(engine.database_url, sent)
            of_these = {one.kind: 1 for one in checked.violations if one.auction in scene.auctions}
            assert (of_these, checked.lost) == (found, len(more))


def test_what_is_no_report_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "report.json").write_text("[]")
    done = report("--from", str(tmp_path / "report.json"))
    assert done.returncode == 1
    assert "is not a report that can be shown" in done.stderr
    assert "Starting" not in done.stderr
