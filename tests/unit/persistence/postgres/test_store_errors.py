"""What PostgreSQL says when it can't do its work is one error of ours, for one query and for several."""

import asyncpg
import pytest

from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.guard import guard, guarded

FAULTS = [
    asyncpg.DiskFullError("could not extend file: No space left on device"),
    asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
    asyncpg.PostgresIOError("could not read blocks 0..0: Input/output error"),
    asyncpg.TooManyConnectionsError("sorry, too many clients already"),
    asyncpg.CrashShutdownError("terminating connection because of crash of another server process"),
    asyncpg.CannotConnectNowError("the database system is in recovery mode"),
    ConnectionRefusedError("no server"),
    TimeoutError(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_a_database_that_cannot_do_its_work_is_unavailable(fault: Exception):
    async def query() -> None:
        raise fault

    with pytest.raises(StoreUnavailable, match=str(fault) or "TimeoutError"):
        await guarded(query())
    with pytest.raises(StoreUnavailable):
        async with guard():
            raise fault


async def test_a_mistake_of_ours_stays_what_it_is():
    with pytest.raises(asyncpg.UndefinedColumnError):
        async with guard():
            raise asyncpg.UndefinedColumnError("column does not exist")
