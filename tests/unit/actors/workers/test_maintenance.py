"""Maintenance goes on while there is much to do."""

import uuid
from collections.abc import Sequence

from actors.workers.job import PERIODIC_KEY, Later
from actors.workers.periodic import AGAIN_MS, MUCH, Maintenance
from persistence.jobs.store import Claimed

NOW = 1_000


class Expired:
    """Rows that have expired, of which a call deletes a page."""

    def __init__(self, rows: int, page: int) -> None:
        self.rows = rows
        self._page = page

    async def forget(self, now_ms: int) -> int:
        assert now_ms == NOW
        done = min(self._page, self.rows)
        self.rows -= done
        return done


async def reminded(now_ms: int) -> None:
    """A task that counts nothing."""


async def run(maintenance: Maintenance) -> Sequence[Later]:
    return await maintenance.run([Claimed(Maintenance.kind, PERIODIC_KEY, b"", 1, uuid.uuid4())])


async def test_it_runs_again_soon_until_nothing_is_left_but_a_few_rows():
    few, many = Expired(3, 10 * MUCH), Expired(25 * MUCH, 10 * MUCH)
    maintenance = Maintenance([reminded, many.forget, few.forget], lambda: NOW)
    runs = 1
    while later := await run(maintenance):
        assert [one.delay_ms for one in later] == [AGAIN_MS]
        runs += 1
    assert (runs, many.rows, few.rows) == (4, 0, 0)
