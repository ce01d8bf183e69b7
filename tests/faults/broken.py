"""How an engine, or a host of it, is started broken."""

import os
from pathlib import Path

SABOTAGE_FOLDER = Path(__file__).parent / "sabotage"


def sabotaged(what: str) -> dict[str, str]:
    """The environment that breaks this (see sabotage/sitecustomize.py) in every process started with it."""
    path = [str(SABOTAGE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(path), "TESTS_SABOTAGE": what}
