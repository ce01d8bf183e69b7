import asyncio
import time
from collections.abc import Iterator

import pytest

from gateway.identity.passwords import PasswordHasher, PasswordsBusy


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
