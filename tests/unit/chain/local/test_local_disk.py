"""The disk under the local chain: full for a while, for too long, and the history that is bounded."""

import asyncio
import sqlite3

import pytest
from chain_scene import SOL, Scene
from solders.pubkey import Pubkey

from chain.local.ledger.blocks import RESERVED
from chain.local.state import store, writer


async def test_on_a_full_disk_nothing_is_confirmed_then_the_chain_stalls_and_goes_on_when_there_is_room(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    await scene.funded()
    scene.node._connection.execute("PRAGMA query_only = ON")
    payment = scene.payment(Pubkey.new_unique(), SOL)
    await scene.send(payment)
    slot = scene.node.bank.statuses[payment.signature].slot
    produced = 0
    while scene.node.tick():
        produced += 1
        assert scene.node.blocks.commitment_of(slot) == "processed"
        await asyncio.sleep(0)
    assert produced <= RESERVED
    scene.node._connection.execute("PRAGMA query_only = OFF")
    await scene.node.on_disk()
    assert scene.node.tick()
    assert scene.node.blocks.commitment_of(slot) == "confirmed"


async def test_on_a_disk_that_stays_full_the_node_gives_up_and_says_why(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.001)
    monkeypatch.setattr(writer, "TRIES_MAX", 3)
    await scene.funded()
    scene.node._connection.execute("PRAGMA query_only = ON")
    await scene.send(scene.payment(Pubkey.new_unique(), SOL))
    scene.node.tick()
    assert scene.node.failed is not None
    async with asyncio.timeout(5):
        error = await scene.node.failed
    assert "3 times in a row" in str(error)


async def test_the_oldest_transactions_are_forgotten_and_no_account(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "TRANSACTIONS_MAX", 3)
    await scene.funded()
    to = Pubkey.new_unique()
    sent = []
    for one in range(5):
        sent.append(str(await scene.send(scene.payment(to, SOL + one))))
        await scene.ticks()
    history = await scene.call("getSignaturesForAddress", str(to), {"commitment": "confirmed"})
    assert [one["signature"] for one in history] == sent[:1:-1]
    rows = scene.node._connection.execute("SELECT count(DISTINCT sequence) FROM addresses").fetchone()
    assert rows == (3,)
    assert scene.balance(to) == 5 * SOL + 10


async def test_a_slot_is_written_whole_or_not_at_all(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.001)
    await scene.funded()
    payment = scene.payment(Pubkey.new_unique(), SOL)
    await scene.send(payment)
    failures = 0

    def fails_once(connection: sqlite3.Connection, batches: object) -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise sqlite3.OperationalError("disk I/O error")

    written = store._write_accounts
    monkeypatch.setattr(store, "_write_accounts", lambda c, b: (fails_once(c, b), written(c, b)))
    await scene.ticks()
    assert failures >= 2
    count = scene.node._connection.execute(
        "SELECT count(*) FROM transactions WHERE signature = ?", (bytes(payment.signature),)
    ).fetchone()
    assert count == (1,)
