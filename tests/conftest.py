"""For all tests: how properties are searched, and plain logs.

`--hypothesis-profile=search` looks for longer, and elsewhere each time. `--pairs=all --rounds=10` kills every pair of
the engine's parts, ten times over.
"""

import pytest
import structlog
from hypothesis import settings

pytest_plugins = ["postgres_server"]

# The same examples for everyone, and no stop-watch: these machines are shared.
settings.register_profile("repeatable", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("search", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile("repeatable")

# structlog's own default draws each trace with all its variables, which takes long.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
    ]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    faults = parser.getgroup("faults", "kill tests of the engine's parts (tests/system/faults/test_faults.py)")
    faults.addoption(
        "--pairs", choices=("chosen", "all"), default="chosen", help="which pairs of parts are killed together"
    )
    faults.addoption("--rounds", type=int, default=1, help="how often each part and each pair is killed")
