"""Fixtures of the system tests."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from engines import SharedEngine, Up

from tests.faults.parts import CHOSEN_PAIRS, PAIRS, PARTS


@pytest.fixture(scope="session")
def engine() -> Iterator[SharedEngine]:
    """One engine for all tests that don't break it; hashing is cheap."""
    with tempfile.TemporaryDirectory(prefix="ece-tests-", ignore_cleanup_errors=True) as home:
        up = Up(Path(home), ECE_BCRYPT_COST="4")
        with closing(up):
            up.start()
            state = up.wait_until_ready()
            secret = up.key_secrets
            yield SharedEngine(state.url, state.ws_url, state.database_url, state.redis_url, secret, up.data_dir)


@pytest.fixture
def up() -> Iterator[Up]:
    """An engine of the test's own, not yet started; stopped at the end whatever happened."""
    with (
        tempfile.TemporaryDirectory(prefix="ece-up-", ignore_cleanup_errors=True) as home,
        closing(Up(Path(home), ECE_BCRYPT_COST="4")) as mine,
    ):
        yield mine


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is killed: each part alone, and pairs of them, as the options say; round after round."""
    if "round_number" in metafunc.fixturenames:
        metafunc.parametrize("round_number", range(metafunc.config.getoption("--rounds")))
    if "killed" in metafunc.fixturenames:
        pairs = PAIRS if metafunc.config.getoption("--pairs") == "all" else CHOSEN_PAIRS
        metafunc.parametrize("killed", [*((part,) for part in PARTS), *pairs], ids="+".join)
