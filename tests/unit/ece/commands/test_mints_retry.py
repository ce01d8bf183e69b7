"""`ece mints retry` takes a request to mint, or the job of something that belongs to none."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner

from domain.ids import id_text
from ece.commands.chain import mints as command
from persistence.chain.status import RETRIED, ChainJobRecord
from persistence.wallets.chain_jobs import CARD_WITHDRAWAL, SWEEP, WITHDRAWAL

REQUEST, JOB, OTHER = 11, 12, 13
SWEPT = ChainJobRecord(JOB, SWEEP, "deposit", "poisoned", 40, "40 transactions for it have expired", None, None, 0)


class Mints:
    """A request with two poisoned jobs, and the job of a sweep."""

    def __init__(self, _pool: object) -> None:
        pass

    async def get(self, mint: int) -> object | None:
        return object() if mint == REQUEST else None

    async def retry(self, mint: int) -> int:
        return 2

    async def retry_jobs(self, jobs: Sequence[int]) -> int:
        return len({JOB} & set(jobs))


class Status:
    def __init__(self, _pool: object) -> None:
        pass

    async def poisoned(self, after: int, limit: int) -> list[ChainJobRecord]:
        return [SWEPT]


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def pool() -> AsyncIterator[None]:
        yield None

    monkeypatch.setattr(command, "_pool", pool)
    monkeypatch.setattr(command, "Mints", Mints)
    monkeypatch.setattr(command, "ChainStatus", Status)


def said(*arguments: str) -> str:
    result = CliRunner().invoke(command.mints, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("id", "text"), [(REQUEST, "Queued again: 2"), (JOB, "Queued again: 1"), (OTHER, "Nothing that can be retried")]
)
def test_what_is_queued_again(id: int, text: str):
    assert text in said("retry", id_text(id))


def test_the_list_has_the_id_that_retry_takes():
    assert id_text(JOB) in said("poisoned")


def test_a_sweep_is_retried_and_what_has_given_back_what_it_took_is_not():
    assert SWEEP in RETRIED
    assert {WITHDRAWAL, CARD_WITHDRAWAL}.isdisjoint(RETRIED)
