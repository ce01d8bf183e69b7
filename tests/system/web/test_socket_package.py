"""The client's socket package against a real engine, through Node."""

import os
import subprocess
from pathlib import Path

import pytest
from engines import SharedEngine

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(400)
def test_it_resumes_and_repeats_safely_on_a_real_engine(engine: SharedEngine):
    done = subprocess.run(
        [ROOT / "scripts/web", "npm", "run", "--silent", "test:engine"],
        env={**os.environ, "ECE_ENGINE_URL": engine.base_url},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=380,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
