"""`ece tokens` without the secret that the keys need."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner

from chain.wallets.cipher import CannotDecrypt
from ece import cli
from ece.commands.security import tokens
from ece.failure import Failure


def test_a_secret_that_unwraps_no_key_is_one_clear_line(monkeypatch: pytest.MonkeyPatch):
    @asynccontextmanager
    async def database_of(*_: object) -> AsyncIterator[str]:
        yield "postgresql://nowhere"

    async def nothing(*_: object, **__: object) -> None:
        pass

    async def no_keys(*_: object) -> None:
        raise CannotDecrypt("no secret unwraps the data keys")

    monkeypatch.setattr(tokens, "database_of", database_of)
    for name, stand_in in (("open_pool", nothing), ("close_pool", nothing), ("opened_keys", no_keys)):
        monkeypatch.setattr(tokens, name, stand_in)
    found = CliRunner().invoke(cli.app, ["tokens", "rotate"])
    assert isinstance(found.exception, Failure), found.exception
    assert "no secret unwraps the data keys" in str(found.exception)
