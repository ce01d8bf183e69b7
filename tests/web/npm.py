"""The tools of web/, with the Node of .venv."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
# The first run installs the packages.
WITHIN_S = 280


def npm(*arguments: str) -> str:
    """What `scripts/web npm …` wrote. Fails with it, where the command failed."""
    done = subprocess.run(
        [ROOT / "scripts/web", "npm", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=WITHIN_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout
