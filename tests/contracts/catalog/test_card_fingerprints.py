"""Fingerprints of cards' pictures on the real PostgreSQL: which are due, which are near, and how long that takes."""

import time

import asyncpg
import numpy as np
import pytest

from domain.catalog.rows import CardRow
from persistence.catalog.fingerprints import CardFingerprints, Computed, Due, Near
from tests.rest.rest_engine import RestEngine

MANY = 100_000


def card(number: str, *images: str, name: str = "Card") -> CardRow:
    return CardRow("scanned", number, name, "rare", images=list(images))


@pytest.fixture
async def fingerprints(engine: RestEngine) -> CardFingerprints:
    await engine.pool.execute("DELETE FROM cards")
    await engine.pool.execute("TRUNCATE card_fingerprints")
    return CardFingerprints(engine.pool)


async def ids(engine: RestEngine) -> dict[str, int]:
    return {row[0]: row[1] for row in await engine.pool.fetch("SELECT number, card_id FROM cards")}


async def test_a_card_is_due_when_it_has_pictures_and_again_when_they_change(
    engine: RestEngine, fingerprints: CardFingerprints
):
    put = engine.services.catalog.writing.put
    await put([card("1", "a"), card("2"), card("3", "b", "c")], 0, 1)
    known = await ids(engine)
    assert await fingerprints.due(0, 10) == [Due(known["1"], 1, 0, ["a"]), Due(known["3"], 1, 0, ["b", "c"])]
    assert len(await fingerprints.due(0, 1)) == 1
    await fingerprints.record([Computed(known["1"], 1, b"\1" * 32), Computed(known["3"], 1, None, due_at=500)])
    assert await fingerprints.due(499, 10) == []
    assert await fingerprints.due(500, 10) == [Due(known["3"], 1, 1, ["b", "c"])]
    # What is not about pictures changes nothing.
    await put([card("1", "a", name="Other"), card("3", "b", "c")], 0, 2)
    assert await fingerprints.due(0, 10) == []
    await put([card("1", "d"), card("2", "e"), card("3")], 0, 3)
    due = [Due(known["1"], 2, 0, ["d"]), Due(known["2"], 1, 0, ["e"]), Due(known["3"], 2, 0, [])]
    assert await fingerprints.due(0, 10) == due
    assert await fingerprints.nearest([b"\1" * 32], 3) == []
    await engine.pool.execute("DELETE FROM cards WHERE number = '1'")
    assert await fingerprints.due(0, 10) == due[1:]


async def test_a_result_from_pictures_that_were_replaced_does_not_count(
    engine: RestEngine, fingerprints: CardFingerprints
):
    put = engine.services.catalog.writing.put
    await put([card("1", "a")], 0, 1)
    [found] = await fingerprints.due(0, 10)
    await put([card("1", "b")], 0, 2)
    await fingerprints.record([Computed(found.card_id, found.version, b"\1" * 32)])
    assert await fingerprints.nearest([b"\1" * 32], 3) == []
    assert await fingerprints.due(0, 10) == [Due(found.card_id, 2, 0, ["b"])]


async def test_the_nearest_come_first_whichever_place_they_are_near_to(
    engine: RestEngine, fingerprints: CardFingerprints
):
    await engine.services.catalog.writing.put([card(str(number), "a") for number in range(4)], 0, 1)
    known = await ids(engine)
    values = {"0": bytes(32), "1": b"\xff" * 32, "2": b"\x0f" + bytes(31), "3": None}
    await fingerprints.record([Computed(known[number], 1, value) for number, value in values.items()])
    asked = [b"\xff" * 31 + b"\xf0", b"\x01" + bytes(31)]
    assert await fingerprints.nearest(asked, 3) == [
        Near(known["0"], 1, 1), Near(known["2"], 3, 1), Near(known["1"], 4, 0),
    ]  # fmt: skip
    assert await fingerprints.nearest([], 3) == []


async def test_one_of_a_hundred_thousand_is_found(
    engine: RestEngine, fingerprints: CardFingerprints, capsys: pytest.CaptureFixture[str]
):
    """The time is printed, and no part of the test: machines differ."""
    chance = np.random.default_rng(1)
    wanted = chance.bytes(32)
    rows = [(number, asyncpg.BitString.frombytes(chance.bytes(32), 256), None) for number in range(MANY)]
    columns = ["card_id", "fingerprint", "due_at"]
    await engine.pool.copy_records_to_table("card_fingerprints", records=rows, columns=columns)
    seven = np.frombuffer(wanted, np.uint8).copy()
    seven[:7] ^= 1
    await engine.pool.execute("INSERT INTO card_fingerprints (card_id, due_at) VALUES (777777777, NULL)")
    await fingerprints.record([Computed(777777777, 1, seven.tobytes())])
    took = {}
    for places in (1, 10):
        asked = [wanted, *(chance.bytes(32) for _ in range(places - 1))]
        began = time.perf_counter()
        found = await fingerprints.nearest(asked, 3)
        took[places] = time.perf_counter() - began
        assert found[0] == Near(777777777, 7, 0)
        assert found[1].distance > 60
    with capsys.disabled():
        print("\nnearest of", MANY, {places: f"{1000 * s:.0f} ms" for places, s in took.items()})  # noqa: T201
