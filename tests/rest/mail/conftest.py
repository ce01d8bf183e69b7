"""A mailbox beside the app."""

from pathlib import Path

import pytest

from tests.rest.mail.mailing import Post, post_of
from tests.rest.rest_engine import RestEngine


@pytest.fixture
def post(engine: RestEngine, tmp_path: Path) -> Post:
    return post_of(engine, tmp_path)
