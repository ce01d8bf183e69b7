import asyncio
import itertools

import pytest

from persistence.postgres.idempotency import (
    KEPT_MS,
    RUNNING_MAX_MS,
    Answered,
    Begun,
    IdempotencyKeys,
    KeyReused,
    StillRunning,
)
from persistence.postgres.pool import Pool
from tests.memory.idempotency_keys import MemoryIdempotencyKeys

NOW = 1_800_000_000_000
REQUEST = b"request"

Keys = IdempotencyKeys | MemoryIdempotencyKeys


@pytest.fixture(params=["postgresql", "memory"])
def keys(request: pytest.FixtureRequest) -> Keys:
    """The real store, and the twin of the simulation."""
    if request.param == "memory":
        return MemoryIdempotencyKeys(itertools.count(1).__next__)
    return IdempotencyKeys(request.getfixturevalue("pool"))


async def begun(keys: Keys, key: str, now_ms: int = NOW) -> Begun:
    answer = await keys.begin(1, key, REQUEST, now_ms)
    assert isinstance(answer, Begun)
    return answer


async def test_a_finished_request_is_answered_as_before(keys: Keys):
    await begun(keys, "a")
    await keys.finish(1, "a", 201, b"{}")
    assert await keys.begin(1, "a", REQUEST, NOW + 1) == Answered(201, b"{}")


async def test_a_running_request_is_not_run_twice(keys: Keys):
    await begun(keys, "b")
    with pytest.raises(StillRunning):
        await keys.begin(1, "b", REQUEST, NOW + RUNNING_MAX_MS - 1)


async def test_of_many_at_once_one_runs(keys: Keys):
    answers = await asyncio.gather(*(keys.begin(1, "c", REQUEST, NOW) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(answer, Begun) for answer in answers) == 1
    assert sum(isinstance(answer, StillRunning) for answer in answers) == 7


async def test_a_request_that_let_go_or_died_is_run_again_as_the_same_command(keys: Keys):
    first = await begun(keys, "d")
    await keys.release(1, "d")
    assert await begun(keys, "d", NOW + 1) == first
    # This one dies: it never lets go.
    assert await begun(keys, "d", NOW + 1 + RUNNING_MAX_MS) == first
    assert first.received_at == NOW


async def test_letting_go_after_the_answer_changes_nothing(keys: Keys):
    await begun(keys, "e")
    await keys.finish(1, "e", 201, b"{}")
    await keys.release(1, "e")
    assert await keys.begin(1, "e", REQUEST, NOW) == Answered(201, b"{}")


async def test_a_key_is_for_one_request(keys: Keys):
    await begun(keys, "f")
    for _ in range(2):
        with pytest.raises(KeyReused):
            await keys.begin(1, "f", b"another", NOW + 1)
        await keys.finish(1, "f", 201, b"{}")
    await begun(keys, "g")
    await keys.release(1, "g")
    with pytest.raises(KeyReused):
        await keys.begin(1, "g", b"another", NOW + 1)


async def test_users_do_not_share_keys(keys: Keys):
    first = await begun(keys, "h")
    other = await keys.begin(2, "h", b"another", NOW)
    assert isinstance(other, Begun)
    assert other.created_id != first.created_id


async def test_old_keys_are_forgotten(pool: Pool):
    keys = IdempotencyKeys(pool)
    first = await begun(keys, "i")
    await keys.forget_old(NOW + KEPT_MS)
    with pytest.raises(StillRunning):
        await keys.begin(1, "i", REQUEST, NOW + 1)
    await keys.forget_old(NOW + KEPT_MS + 1)
    assert (await begun(keys, "i", NOW + KEPT_MS + 1)).created_id != first.created_id


async def test_a_forgotten_key_is_free_for_another_request_unless_it_has_an_answer(keys: Keys):
    await begun(keys, "j")
    await keys.forget(1, "j")
    assert isinstance(await keys.begin(1, "j", b"another", NOW), Begun)
    await keys.finish(1, "j", 201, b"{}")
    await keys.forget(1, "j")
    assert await keys.begin(1, "j", b"another", NOW) == Answered(201, b"{}")
