"""docs/security.md goes through every requirement of OWASP ASVS 4.0.3, levels 1 and 2, of its chapters."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/security.md").read_text()
STATES = {"met", "partly", "not met", "not applicable"}
# How many there are in each section, and those that the standard has deleted or has for level 3 alone.
SECTIONS = {
    "2.1": 12, "2.2": 7, "2.3": 3, "2.4": 6, "2.5": 7, "2.6": 3, "2.7": 6, "2.8": 7, "2.9": 3, "2.10": 4, "3.1": 1,
    "3.2": 4, "3.3": 4, "3.4": 5, "3.5": 3, "3.7": 1, "4.1": 5, "4.2": 2, "4.3": 3, "5.1": 5, "5.2": 8, "5.3": 10,
    "5.4": 3, "5.5": 4, "7.1": 4, "7.2": 2, "7.3": 4, "7.4": 3, "8.1": 6, "8.2": 3, "8.3": 8, "9.1": 3, "9.2": 5,
    "12.1": 3, "12.2": 1, "12.3": 6, "12.4": 2, "12.5": 2, "12.6": 1, "13.1": 5, "13.2": 6, "13.3": 2, "13.4": 2,
}  # fmt: skip
LEFT_OUT = {
    "2.2.4", "2.2.5", "2.2.6", "2.2.7", "4.1.4", "7.3.2", "8.1.5", "8.1.6", "9.2.5", "13.1.2", "13.2.4",
}  # fmt: skip
ROWS = re.findall(r"^\| V([\d.]+) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


def test_every_requirement_has_one_row_in_order() -> None:
    wanted = [f"{section}.{number}" for section, count in SECTIONS.items() for number in range(1, count + 1)]
    assert [row[0] for row in ROWS] == [one for one in wanted if one not in LEFT_OUT]


def test_every_row_has_a_state_and_says_where() -> None:
    assert {row[2] for row in ROWS} <= STATES
    assert [row[0] for row in ROWS if len(row[3]) < 5] == []


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:gateway|domain|persistence|ece|chain|tests)/[\w/.]+)`", PAGE))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
