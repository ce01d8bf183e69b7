import asyncio
import os
import threading
import time
from collections.abc import Iterator

import pytest

from gateway.identity.passwords.hasher import PasswordHasher, PasswordsBusy


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    hasher = PasswordHasher(4, at_once_max=1, waiting_max=1)
    yield hasher
    hasher.close()


async def test_only_the_password_itself_matches(hasher: PasswordHasher):
    stored = await hasher.hash("correct horse battery", "ann")
    assert stored.startswith("$2b$04$")
    assert await hasher.matches("correct horse battery", stored, "ann")
    assert not await hasher.matches("correct horse batterz", stored, "ann")


async def test_two_hashes_of_one_password_differ(hasher: PasswordHasher):
    assert await hasher.hash("same", "ann") != await hasher.hash("same", "ann")


@pytest.mark.parametrize("password", ["a\x00b", "", "x" * 1_000, "ü" * 40])
async def test_bytes_past_the_72nd_and_zeros_count(hasher: PasswordHasher, password: str):
    stored = await hasher.hash(password, "ann")
    assert await hasher.matches(password, stored, "ann")
    assert not await hasher.matches(password + "!", stored, "ann")


async def test_a_user_without_password_takes_as_much_work_as_one_with(hasher: PasswordHasher):
    costly = PasswordHasher(9)
    stored = await costly.hash("a password", "ann")
    began = time.process_time()
    await costly.matches("another", stored, "ann")
    known = time.process_time() - began
    began = time.process_time()
    assert not await costly.matches("another", None, "ann")
    unknown = time.process_time() - began
    costly.close()
    assert unknown > known / 3


async def test_past_the_bound_the_answer_comes_at_once(hasher: PasswordHasher):
    answers = await asyncio.gather(*(hasher.hash("x", "ann") for _ in range(5)), return_exceptions=True)
    assert [isinstance(answer, PasswordsBusy) for answer in answers] == [False, False, True, True, True]
    assert isinstance(await hasher.hash("x", "ann"), str)


async def test_who_is_refused_comes_back_one_after_the_other_and_not_after_a_minute(hasher: PasswordHasher):
    hashing = [asyncio.create_task(hasher.hash("x", "ann")) for _ in range(2)]
    await asyncio.sleep(0)
    waits_ms = []
    for _ in range(300):
        with pytest.raises(PasswordsBusy) as refused:
            hasher.check_room("ann")
        waits_ms.append(refused.value.retry_after_ms)
    assert waits_ms[:100] == sorted(set(waits_ms[:100]))
    assert 59_000 < waits_ms[-1] <= 60_000
    await asyncio.gather(*hashing)
    hasher.check_room("ann")


async def test_hashing_yields_to_the_rest_of_the_process(hasher: PasswordHasher):
    await hasher.hash("correct horse battery", "ann")
    # Those of other tests may still end: this one is the newest.
    thread = [one.native_id for one in threading.enumerate() if one.name.startswith("bcrypt")][-1]
    assert thread is not None
    assert os.getpriority(os.PRIO_PROCESS, thread) > os.getpriority(os.PRIO_PROCESS, 0)
