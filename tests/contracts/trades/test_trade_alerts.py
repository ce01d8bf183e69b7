"""Who is notified of what happens to a trade, on the real PostgreSQL."""

import json

from actors.workers.notify import NotifyTraders
from domain.ids import id_text
from domain.money import usd
from domain.trade.commands import Decline
from domain.trade.terms import Leg
from persistence.notifications.store import Notifications
from persistence.postgres.pool import Pool
from persistence.trades.alerts import TradeAlerts
from tests.contracts.sales.sale_scenes import NOW, a_life
from tests.contracts.trades.trade_scenes import TradeScene
from tests.job_runs import run_due


async def notified(pool: Pool, user: int) -> list[tuple[str, str | None, str | None]]:
    """(kind, by, reason) of the notifications of a user, the oldest first."""
    page = await Notifications(pool).page(user, False, None, 20)
    found = [(one.kind, json.loads(one.data)) for one in reversed(page)]
    return [(kind, data["by"], data.get("reason")) for kind, data in found]


async def test_all_parties_but_who_caused_it_are_notified_once(pool: Pool, database_url: str):
    scene = TradeScene(pool)
    announced: list[bytes] = []
    job = NotifyTraders(TradeAlerts(pool), lambda: NOW, lambda _, message: announced.append(message))
    async with a_life(database_url) as host:
        ann, bob = await scene.person(), await scene.person()
        [hers, other], [his, another] = await scene.copies_for(ann, 2), await scene.copies_for(bob, 2)
        trade = await scene.confirm(host, Leg(ann, bob, (hers,), usd(5)), Leg(bob, ann, (his,)))
        await scene.execute(host)
        declined = await scene.offer(host, Leg(ann, bob, (other,)), Leg(bob, ann, (another,)))
        await scene.order(host, declined, Decline(bob, "no"))
        await pool.execute("UPDATE jobs SET run_at = 0")
        again = await pool.fetch("SELECT kind, key, payload FROM jobs WHERE kind = 'notify_trade'")
        await run_due(pool, job)
        # A worker died after its commit, it seems.
        await pool.executemany(
            "INSERT INTO jobs (kind, key, payload, run_at) VALUES ($1, $2, $3, 0)", [tuple(row) for row in again]
        )
        await run_due(pool, job)
    names = {user: await pool.fetchval("SELECT username FROM users WHERE user_id = $1", user) for user in (ann, bob)}
    assert await notified(pool, bob) == [
        ("trade_offered", names[ann], None), ("trade_executed", None, None), ("trade_offered", names[ann], None)
    ]  # fmt: skip
    assert await notified(pool, ann) == [
        ("trade_agreed", names[bob], None), ("trade_executed", None, None), ("trade_ended", names[bob], "declined")
    ]  # fmt: skip
    newest = json.loads((await Notifications(pool).page(ann, False, None, 2))[1].data)["trade"]
    assert newest == {
        "id": id_text(trade), "status": "executed", "version": 1, "parties": sorted(names.values())
    }  # fmt: skip
    assert announced
