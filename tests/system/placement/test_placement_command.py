"""`ece node` and `ece slots` as an operator uses them, on a running engine."""

import os
import subprocess
import sys

import pytest
from engines import SharedEngine

pytestmark = pytest.mark.timeout(120)


def ece(engine: SharedEngine, *arguments: str) -> tuple[int, str]:
    """The exit code, and all that it said."""
    result = subprocess.run(
        [sys.executable, "-m", "ece.cli", *arguments],
        env={**os.environ, "ECE_DATA_DIR": str(engine.data_dir.path)},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    return result.returncode, result.stdout + result.stderr


def slots_by_host(engine: SharedEngine) -> dict[str, int]:
    code, said = ece(engine, "slots", "list")
    assert code == 0, said
    rows = [line.split() for line in said.splitlines() if line.startswith("host-")]
    return {row[0]: next(int(word) for word in row[3:] if word.isdigit()) for row in rows}


def test_slots_go_where_an_operator_puts_them_and_back(engine: SharedEngine):
    before = slots_by_host(engine)
    assert sum(before.values()) == 256
    idle = min(before, key=lambda host: before[host])
    code, said = ece(engine, "slots", "move", "0-9,255", idle)
    assert code == 0, said
    assert f"11 slot(s) are pinned to {idle}" in said
    assert slots_by_host(engine)[idle] >= 11
    code, said = ece(engine, "slots", "free")
    assert (code, said) == (0, "The director balances all slots again.\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("slots", "move", "3-256", "host-0"), "outside the slots of this engine: 0 to 255"),
        (("slots", "move", "many", "host-0"), "Write 0-63,80 or `all`"),
        (("slots", "move", "3", "host-77"), "host-77 is not running"),
        (("node", "drain", "nowhere"), "No node begins with 'nowhere'"),
        (("node", "undrain", "nowhere"), "No node begins with 'nowhere'"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(engine: SharedEngine, arguments: tuple[str, ...], complaint: str):
    code, said = ece(engine, *arguments)
    assert code == 1
    assert complaint in said
    assert said.count("\n") == 1


def test_the_only_node_is_not_drained(engine: SharedEngine):
    code, said = ece(engine, "node", "list")
    assert code == 0
    name = said.splitlines()[1].split()[0]
    code, said = ece(engine, "node", "drain", name)
    assert code == 1
    assert "No other node has a running host" in said


def test_without_an_engine_it_says_how_to_start_one(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "ece.cli", "node", "list"],
        env={**os.environ, "ECE_DATA_DIR": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "Start one: scripts/up" in result.stderr
