"""The table of faults, and the one in the documentation."""

from pathlib import Path

from bench.faults.injection.kinds import KINDS, PARTS

OPERATIONS = Path(__file__).resolve().parents[4] / "docs" / "operations.md"


def test_the_documentation_has_every_fault_with_the_time_for_recovery():
    rows = [line for line in OPERATIONS.read_text().splitlines() if line.startswith("| `")]
    documented = {row.split("`")[1]: row.rsplit("|", 2)[1].strip() for row in rows}
    assert {kind.name: documented.get(kind.name) for kind in KINDS} == {
        kind.name: f"{kind.recovers_within_s:g} s" for kind in KINDS
    }


def test_every_part_of_the_table_is_a_known_part():
    assert {part for kind in KINDS for part in kind.parts} == set(PARTS)
