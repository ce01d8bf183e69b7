"""What a program writes into a pipe arrives as a whole, also where signals interrupt its writing."""

import os
import subprocess
import sys

import pytest

CHARACTERS = 3_000_000
INTERRUPTED = """
import signal
{prepared}
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
{write}
signal.setitimer(signal.ITIMER_REAL, 0)
"""
WRITERS = {
    "a load": ("from bench.loads.order import write_out", f"write_out(b'x' * {CHARACTERS})"),
    "a command": ("import sys, ece.cli; ece.cli._write_completely()", f"sys.stdout.write('x' * {CHARACTERS})"),
}


@pytest.mark.parametrize(("prepared", "write"), WRITERS.values(), ids=WRITERS)
def test_all_of_it_arrives_also_unbuffered(prepared: str, write: str):
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(prepared=prepared, write=write)],
        stdout=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as program:  # fmt: skip
        assert program.stdout is not None
        assert len(program.stdout.read()) == CHARACTERS
    assert program.returncode == 0
