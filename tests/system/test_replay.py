"""`ece replay` as a user runs it: the real command, real servers, a small file of the same shape as the eBay one.

The real recordings are replayed on an engine that runs already.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import SharedEngine

from ece.supervisor.port import free_port

# What a run takes on a busy machine: it ends only those that hang.
RUN_TIMEOUT_S = 240
# Two exact auctions, one with a hidden reserve, one incomplete record, and rows that can't be used.
CSV = """\
auctionid,bid,bidtime,bidder,bidderrate,openbid,price,item,auction_type
1,20,0.3,bob,1,1,20.5,Watch,3 day auction
1,10,0.1,ann,1,1,20.5,Watch,3 day auction
1,1.1,0.2,cid,1,1,20.5,Watch,3 day auction
1,30,0.4,ann,1,1,20.5,Watch,3 day auction
2,7,1.5,ann,1,7,7,Game,7 day auction
3,20,0.1,ann,1,1,40,Game,7 day auction
3,40,0.2,bob,1,1,40,Game,7 day auction
3,forty,0.3,bob,1,1,40,Game,7 day auction
4,20,0.1,ann,1,1,90,Watch,7 day auction
4,-3,0.1,ann,1,1,90,Watch,7 day auction
"""
# The real recordings, beside the project's own repository.
RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_recordings = pytest.mark.skipif(
    not RECORDINGS.exists(), reason="the real recordings stand beside the project's own repository only"
)


def replay(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """On the engine of this data directory; where none runs, one is started on a free port."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ECE_")},
        "ECE_DATA_DIR": str(data_dir),
        "ECE_PORT": str(free_port("127.0.0.1")),
        "ECE_CHAIN_PORT": str(free_port("127.0.0.1")),
    }
    return subprocess.run(
        [sys.executable, "-m", "ece.cli", "replay", *arguments],
        env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
    )  # fmt: skip


class Replays:
    """Runs the command on one data directory, on which no engine runs in between."""

    def __init__(self, home: Path) -> None:
        self.file = home / "auctions.csv"
        self.file.write_text(CSV)
        self._data_dir = home / "data"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return replay(self._data_dir, *arguments)


@pytest.fixture(scope="module")
def replays() -> Iterator[Replays]:
    # Not below pytest's own directory: each run of pytest closes that to others, and root's PostgreSQL is another user.
    with tempfile.TemporaryDirectory(prefix="ece-replay-", ignore_cleanup_errors=True) as home:
        Path(home).chmod(0o711)
        yield Replays(Path(home))


@pytest.mark.timeout(2 * RUN_TIMEOUT_S)
def test_a_replay_starts_what_is_not_running_and_gives_the_recorded_prices(replays):
    done = replays.run(str(replays.file), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {name: result[name] for name in ("auctions", "exact", "differ", "bids", "accepted", "refused")} == {
        "auctions": 4, "exact": 2, "differ": 2, "bids": 8, "accepted": 7, "refused": 1,
    }  # fmt: skip
    assert result["refused_by_code"] == {"bid_too_low": 1}
    assert 0 < result["ack_ms"]["p50"] <= result["ack_ms"]["p99"]
    assert result["bids_per_s"] > 0
    assert [(other["auctionid"], other["price"]) for other in result["different"]] == [
        ("3", 20_500_000), ("4", 1_000_000),
    ]  # fmt: skip
    assert "hidden reserve" in result["different"][0]["why"]
    assert "incomplete record" in result["different"][1]["why"]
    assert [row["line"] for row in result["broken_rows"]] == [9, 11]
    assert "line 9 skipped: bid is not a number: 'forty'" in done.stderr


@pytest.mark.timeout(2 * RUN_TIMEOUT_S)
def test_it_can_be_run_again_on_the_same_data_with_reserves_inferred_and_a_limit(replays):
    done = replays.run(str(replays.file), "--infer-reserves", "--limit", "3", "--speed", "8640000")
    assert done.returncode == 0, done.stderr
    assert "Closing prices: replayed against recorded" in done.stdout
    (total,) = [line for line in done.stdout.splitlines() if " all " in line]
    assert [cell.strip() for cell in total.strip("│").split("│")] == ["all", "3", "7", "3", "100.0%"]
    assert "differ" not in done.stdout


def test_a_file_that_is_not_this_is_refused_with_the_columns_it_needs_and_nothing_is_started(replays, tmp_path):
    other = tmp_path / "people.csv"
    other.write_text("name,age\nann,7\n")
    done = replays.run(str(other), "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "it needs a header with the columns auctionid, bid, bidtime, bidder, openbid, price, item" in done.stderr
    assert "PostgreSQL" not in done.stderr


def test_a_file_that_is_not_there_is_said_to_be_missing(replays):
    done = replays.run("no-such-file.csv")
    assert done.returncode == 2
    assert "no-such-file.csv can't be read (No such file or directory)" in done.stderr


@needs_recordings
@pytest.mark.timeout(2 * RUN_TIMEOUT_S)
@pytest.mark.parametrize(("options", "exact"), [((), 589), (("--infer-reserves",), 626)])
def test_the_real_ebay_auctions_with_their_3388_bidders_give_the_recorded_prices(
    engine: SharedEngine, options: tuple[str, ...], exact: int
):
    done = replay(engine.data_dir.path, str(RECORDINGS / "ebay_auctions.csv"), "--json", *options)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {name: result[name] for name in ("auctions", "exact", "bids", "broken_rows")} == {
        "auctions": 628, "exact": exact, "bids": 10_681, "broken_rows": [],
    }  # fmt: skip


@needs_recordings
@pytest.mark.timeout(2 * RUN_TIMEOUT_S)
def test_the_real_estate_lots_have_the_recorded_price_after_every_bid(engine: SharedEngine):
    done = replay(engine.data_dir.path, str(RECORDINGS / "estate_lots.json"), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {name: result[name] for name in ("auctions", "exact", "accepted", "refused", "prices_after_bids")} == {
        "auctions": 301, "exact": 301, "accepted": 1_827, "refused": 0,
        "prices_after_bids": {"recorded": 1_827, "exact": 1_827},
    }  # fmt: skip
