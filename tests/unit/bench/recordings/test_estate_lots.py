"""Reading estate lots: exact base units, and a clear word where the file is something else."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from bench.recordings.estate_lots import read_estate_lots
from bench.recordings.files import read_recording
from bench.recordings.model import Dataset, RecordedAuction, RecordedBid, UnusableRecording

USD = 1_000_000
LOTS = {
    "about": "two bids",
    "increments_base_units": [[0, USD], [10_000_001, 3 * USD]],
    "lots": {"lot1": [[0, "r0", 100, 100], [43_200, "c1", 500, 200]]},
}


def written(directory: Path, content: object) -> Path:
    file = directory / "lots.json"
    file.write_text(json.dumps(content))
    return file


def test_lots_become_auctions_with_the_sites_increments_and_the_price_after_each_bid(tmp_path: Path):
    bids = (RecordedBid("lot1_r0", USD, Decimal(0), USD), RecordedBid("lot1_c1", 5 * USD, Decimal("0.5"), 2 * USD))
    assert read_recording(written(tmp_path, LOTS)) == Dataset(
        (RecordedAuction("lot1", "Estate lot", USD, 2 * USD, bids, steps=((0, USD), (10_000_001, 3 * USD))),)
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"lots": None}, "Expected `object`, got `null` - at `$.lots`"),
        ({"lots": {"lot1": []}}, "Expected `array` of length >= 1"),
        ({"lots": {"lot1": [[0, "r0", 1.5, 100]]}}, "Expected `int`, got `float`"),
        ({"increments_base_units": []}, "Expected `array` of length >= 1"),
    ],
)
def test_a_file_that_is_no_recording_of_lots_says_where_it_is_wrong(
    tmp_path: Path, changed: dict[str, object], says: str
):
    with pytest.raises(UnusableRecording) as raised:
        read_estate_lots(written(tmp_path, LOTS | changed))
    assert "lots.json is no file of estate lots" in str(raised.value)
    assert says in str(raised.value)
