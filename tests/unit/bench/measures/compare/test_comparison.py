"""Stacks in turn, what they are as durable as, and the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.definition import Table
from bench.loads.load import Load, Measured
from bench.loads.shapes import HOT, Shape
from bench.measures.compare import compare
from bench.measures.compare.picture import bars
from bench.peers.stack import FalseAcks
from tests.unit.bench.terminal import WIDTH, cells, shown, unwrapped

STACK = {
    "accepted_per_s": [123_456.7, 98_765.4], "ack_ms": {"p50": 1_012.35, "p99": 1_012.35}, "client_us_per_bid": 1_234.5,
    "client_cpu": 0.95, "checked_acks": 1_000,
}  # fmt: skip
RATIO = {"median": 123.45, "min": 101.0, "max": 145.6}
FIGURES: dict[str, Any] = {
    "durability": {"fsync": "on", "synchronous_commit": "on"},
    "shapes": {
        "spread": {
            "engine": STACK,
            "one-statement": {**STACK, "ratio": RATIO},
            "echo": {**STACK, "ratio": {"median": 0.456, "min": 0.4, "max": 0.5}},
        }
    },
    "goals": [{"shape": "hot", "peer": "prisma", "goal": 20.0, "ratio": 19.96, "met": False}],
}


def test_a_peer_is_a_row_with_the_ratio_and_its_spread():
    text = shown(compare.report(FIGURES))
    assert cells(text, "one-statement") == [
        "one-statement", "98,765–123,457", "1012 / 1012", "123.5 (101.0–145.6)", "1,234"
    ]  # fmt: skip
    assert cells(text, "echo")[3] == "0.46 (0.40–0.50)"
    assert "All 3,000 acknowledged bids were found" in unwrapped(text)
    assert "Goal: hot 20 × prisma: 20.0 ×, MISSED." in unwrapped(text)
    assert "spread, engine: the load generator used 95% of a processor and may be the limit." in unwrapped(text)


def test_the_report_fits_a_terminal():
    text = shown(compare.report(FIGURES))
    assert "…" not in text
    assert all(part.title in text for part in compare.report(FIGURES).text if isinstance(part, Table))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= WIDTH


def test_the_picture_has_a_bar_for_each_stack_that_stores_bids():
    picture = ElementTree.fromstring(bars(FIGURES["shapes"]))
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["spread: durable accepted bids a second", "engine", "111,111", "one-statement", "111,111"]
    (top, *_) = [bar for bar in picture.iter("{http://www.w3.org/2000/svg}rect") if bar.get("class") == "engine"]
    assert float(top.get("width", 0)) == pytest.approx(440 * 111_111 / 123_457, abs=0.1)


async def test_the_order_of_the_stacks_is_reversed_each_other_round(monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []

    async def measure(stack: Any, shape: Shape, seconds: float) -> str:
        order.append(stack)
        return stack

    monkeypatch.setattr(compare, "measure_stack", measure)
    stacks: Any = {"engine": "E", "pg": "P"}
    rounds = await compare.measure_rounds(stacks, HOT, 1.0, 3, lambda message: None)
    assert order == ["E", "P", "P", "E", "E", "P"]
    assert rounds == {"engine": ["E"] * 3, "pg": ["P"] * 3}


class Liar:
    """A stack whose check finds something."""

    database_url = None

    async def load(self, shape: Shape, seconds: float) -> Load:
        return Load("", [], 1.0)

    async def check(self, load: Load, measured: Measured) -> None:
        raise FalseAcks("3 of 4 acknowledged bids are not in the database")


async def test_a_stack_with_false_acks_is_named(monkeypatch: pytest.MonkeyPatch):
    async def run_load(load: Load) -> Measured:
        return Measured(4, {}, 4, 0, 1.0, {}, {}, 0, 0.1, [])

    monkeypatch.setattr("bench.peers.stack.run_load", run_load)
    with pytest.raises(FalseAcks, match=r"^pg: 3 of 4 acknowledged"):
        await compare.measure_rounds({"pg": Liar()}, HOT, 1.0, 1, lambda message: None)


async def test_a_stack_that_is_less_durable_is_not_compared(monkeypatch: pytest.MonkeyPatch):
    async def durability(url: str) -> dict[str, str]:
        return {"synchronous_commit": "off" if url == "pg" else "on"}

    class Settled(Liar):
        def __init__(self, url: str | None) -> None:
            self.database_url: Any = url

    monkeypatch.setattr(compare, "durability", durability)
    same: Any = {"engine": Settled("engine"), "row-lock": Settled("row"), "echo": Settled(None)}
    assert await compare.same_durability(same) == {"synchronous_commit": "on"}
    with pytest.raises(compare.BenchFailed, match="pg is not as durable as the engine"):
        await compare.same_durability({**same, "pg": Settled("pg")})


async def test_a_picture_in_a_folder_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path):
    class Asked:
        def value(self, option: Any) -> Path | Sequence[str]:
            return tmp_path / "none" / "picture.svg"

    context: Any = Asked()
    with pytest.raises(compare.BenchFailed, match="there is no such folder"):
        await compare.run(context)
