"""docs/operations.md lists the actions of the audit trail."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("actors", "chain", "ece", "gateway", "persistence")
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")


def texts(node: ast.AST) -> set[str]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def actions() -> Iterator[str]:
    """What is written as the first argument of ``Act``; where that is a name, all texts of its file like an action."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text())
            acts = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Act"]
            for act in acts:
                yield from texts(act.args[0]) or filter(ACTION.fullmatch, texts(tree))


def test_the_documented_actions_of_the_audit_trail_are_those_of_the_code():
    page = (ROOT / "docs/operations.md").read_text()
    listed = re.search(r"^Actions: (.+?), and\n`operator\.…`", page, re.MULTILINE | re.DOTALL)
    assert listed is not None
    found = {action for action in actions() if not action.startswith("operator.")}
    assert sorted(re.findall(r"`([^`]+)`", listed[1])) == sorted(found)
