"""kill -9 of a worker before each statement of its work, and what is looked at afterwards."""

import signal
from collections.abc import Awaitable, Callable

from persistence.ledger.check import CHECKS, ledger_checker
from persistence.postgres.pool import Pool
from persistence.sales.copies import Copies
from tests.faults.broken import sabotaged
from tests.faults.scene import until
from tests.faults.workers import worker_child

ARTIST = 5_001
NOW = 1_800_000_000_000
# More than any work has.
STEPS_MAX = 60


async def new_card(pool: Pool) -> int:
    card: int = await pool.fetchval(
        "WITH s AS (INSERT INTO card_sets (code, name) VALUES ('kills', 'Kills') RETURNING set_id)"
        " INSERT INTO cards (set_id, number, name, rarity, creator_id, created_at, updated_at)"
        " SELECT set_id, '1', 'Card', 'rare', 1, 0, 0 FROM s RETURNING card_id"
    )
    assert await Copies(pool).set_royalty(card, [(ARTIST, 1_000)])
    return card


async def end_leases(pool: Pool) -> None:
    """As time would: what a dead worker had claimed is due again. A stopped one may have rows locked."""
    await pool.execute(
        "UPDATE jobs SET run_at = 0 WHERE (kind, key) IN"
        " (SELECT kind, key FROM jobs WHERE claim IS NOT NULL FOR UPDATE SKIP LOCKED)"
    )


async def dies(pool: Pool, urls: tuple[str, str], what: str, step: int, is_done: Callable[[], Awaitable[bool]]) -> bool:
    """Whether a worker that dies before this step has died, and not done its work."""
    environment = sabotaged(what) | {"TESTS_DIE_AT": str(step)}
    async with worker_child(*urls, environment=environment) as doomed:

        async def dead_or_done() -> bool:
            return doomed.returncode is not None or await is_done()

        await until(dead_or_done, f"step {step} is over")
        died = doomed.returncode is not None
        assert doomed.returncode in (None, -signal.SIGKILL)
    await end_leases(pool)
    return died


async def check_ledger(url: str) -> list[str]:
    async with ledger_checker(url) as checker:
        return [finding.detail for check in CHECKS for finding in (await checker.findings(check))[1]]
