"""Counts of wrong passwords on a real Valkey: shared by gateways, and of one gateway where there is none."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from valkey_server import Valkey

from gateway.identity import log_in_failures
from gateway.identity.attempts import TooManyAttempts
from gateway.identity.log_in_failures import (
    ACCOUNT_DELAY_MAX_MS,
    ACCOUNT_FREE,
    OPEN_MAX,
    PAIR_DELAY_MAX_MS,
    PAIR_FREE,
    Attempt,
    LogInFailures,
    delay_ms,
)
from persistence.redis.log_in_failures import OPEN_KEPT_S, FailureCounts

NOW = 1_800_000_000_000
CAS = 7


@pytest.fixture
async def gateways(valkey: Valkey) -> AsyncIterator[tuple[LogInFailures, LogInFailures]]:
    first, second = LogInFailures(FailureCounts(valkey.url)), LogInFailures(FailureCounts(valkey.url))
    yield first, second
    await first.stop()
    await second.stop()


async def wait_of(
    failures: LogInFailures, account: str, address: str, now_ms: int = NOW, user: int | None = None
) -> int:
    try:
        await failures.admit(Attempt(account, address, user), now_ms)
    except TooManyAttempts as error:
        return error.retry_after_ms
    return 0


def test_delays_double_up_to_the_longest():
    delays = [delay_ms(count, PAIR_FREE, PAIR_DELAY_MAX_MS) for count in (0, 5, 6, 7, 8, 16, 10**9)]
    assert delays == [0, 0, 1_000, 2_000, 4_000, 900_000, 900_000]


async def test_gateways_count_together_and_the_right_password_ends_it(
    gateways: tuple[LogInFailures, LogInFailures],
):
    first, second = gateways
    for number in range(PAIR_FREE + 2):
        await (first, second)[number % 2].failed(Attempt("ann", "10.0.0.1"), NOW)
    assert await wait_of(first, "ann", "10.0.0.1") == await wait_of(second, "ann", "10.0.0.1") == 2_000
    assert await wait_of(first, "ann", "10.0.0.1", NOW + 2_000) == 0
    assert await wait_of(first, "ann", "10.0.0.2") == await wait_of(first, "bob", "10.0.0.1") == 0
    await second.succeeded(Attempt("ann", "10.0.0.1"))
    assert await wait_of(first, "ann", "10.0.0.1") == 0


async def test_guesses_from_everywhere_delay_strangers_and_not_the_address_of_the_user(
    gateways: tuple[LogInFailures, LogInFailures],
):
    first, second = gateways
    await first.succeeded(Attempt("cas", "10.0.1.1", CAS))
    told = [await first.failed(Attempt("cas", f"10.0.2.{n}", CAS), NOW) for n in range(ACCOUNT_FREE + 40)]
    assert [one.notifies for one in told].count(True) == 1
    assert [one.delayed for one in told].count(True) == 1
    assert await wait_of(second, "cas", "10.0.3.3", user=CAS) == ACCOUNT_DELAY_MAX_MS
    assert await wait_of(second, "cas", "10.0.1.1", user=CAS) == 0
    await first.forget(CAS)
    assert await wait_of(second, "cas", "10.0.3.3", user=CAS) == 0


async def test_all_logins_of_a_user_count_as_one_account_and_apart_at_one_address(
    gateways: tuple[LogInFailures, LogInFailures],
):
    first, second = gateways
    for n in range(ACCOUNT_FREE + 1):
        await first.failed(Attempt(("cas", "cas@example.org")[n % 2], f"10.0.4.{n}", CAS), NOW)
    assert await wait_of(second, "cas@example.org", "10.0.5.5", user=CAS) == 1_000
    # What somebody types that is like a user's id is no user's.
    assert await wait_of(second, str(CAS), "10.0.5.5") == 0
    for _ in range(PAIR_FREE + 1):
        await first.failed(Attempt("dan", "10.0.6.6", CAS + 1), NOW)
    assert await wait_of(second, "dan", "10.0.6.6", user=CAS + 1) == 1_000
    assert await wait_of(second, "dan@example.org", "10.0.6.6", user=CAS + 1) == 0


async def tried_together(gateways: Sequence[LogInFailures], attempts: Sequence[Attempt]) -> int:
    """How many of these tries, all wrong and all at the same time, are let through."""
    all_began, passed = asyncio.Barrier(len(attempts)), 0

    async def try_one(number: int, attempt: Attempt) -> None:
        nonlocal passed
        failures = gateways[number % len(gateways)]
        try:
            async with failures.admitted(attempt, NOW):
                passed += 1
                await all_began.wait()
                await failures.failed(attempt, NOW)
        except TooManyAttempts:
            await all_began.wait()

    async with asyncio.timeout(30):
        await asyncio.gather(*(try_one(*each) for each in enumerate(attempts)))
    return passed


async def test_of_guesses_at_the_same_moment_few_pass_and_one_where_there_are_delays(
    gateways: tuple[LogInFailures, LogInFailures],
):
    assert await tried_together(gateways, [Attempt("eli", f"10.1.0.{n}", CAS + 2) for n in range(30)]) == OPEN_MAX
    # They are over.
    assert await wait_of(gateways[0], "eli", "10.1.1.1", user=CAS + 2) == 0
    for n in range(ACCOUNT_FREE):
        await gateways[0].failed(Attempt("eli", f"10.1.2.{n}", CAS + 2), NOW - ACCOUNT_DELAY_MAX_MS)
    assert await tried_together(gateways, [Attempt("eli", f"10.1.3.{n}", CAS + 2) for n in range(30)]) == 1
    # The user at home is not kept out by them.
    await gateways[0].succeeded(Attempt("eli", "10.1.4.4", CAS + 2))
    assert await tried_together(gateways, [Attempt("eli", "10.1.4.4", CAS + 2)] * 3) == 3


async def test_a_try_of_a_gateway_that_died_ends_however_often_others_try(
    gateways: tuple[LogInFailures, LogInFailures], valkey: Valkey
):
    for n in range(ACCOUNT_FREE + 1):
        await gateways[0].failed(Attempt("gus", f"10.2.0.{n}", CAS + 3), NOW)
    dead, account = FailureCounts(valkey.url), log_in_failures._account(CAS + 3)
    await dead.begin(account, "left behind", NOW)
    await dead.close()

    async def passes(number: int, after_s: int) -> bool:
        try:
            async with gateways[1].admitted(Attempt("gus", f"10.2.1.{number}", CAS + 3), NOW + 1_000 * after_s):
                return True
        except TooManyAttempts:
            return False

    # Who is told to wait for a second tries again.
    tried = [await passes(number, after_s) for number, after_s in enumerate(range(10, OPEN_KEPT_S + 11, 10))]
    assert tried == [False] * 5 + [True, True]


async def test_without_redis_guesses_at_the_same_moment_are_few_in_each_gateway():
    alone = LogInFailures()
    assert await tried_together([alone], [Attempt("fay", f"10.1.0.{n}") for n in range(30)]) == OPEN_MAX
    assert await tried_together([alone], [Attempt("fay", f"10.1.1.{n}") for n in range(30)]) == OPEN_MAX


async def test_without_redis_a_gateway_counts_alone():
    nowhere = FailureCounts("redis://127.0.0.1:1/0")
    failures = LogInFailures(nowhere)
    try:
        for _ in range(PAIR_FREE + 1):
            await failures.failed(Attempt("dee", "10.0.0.1"), NOW)
        assert await wait_of(failures, "dee", "10.0.0.1") == 1_000
        await failures.succeeded(Attempt("dee", "10.0.0.1"))
        assert await wait_of(failures, "dee", "10.0.0.1") == 0
    finally:
        await nowhere.close()


async def test_redis_has_neither_logins_nor_addresses(gateways: tuple[LogInFailures, LogInFailures], valkey: Valkey):
    await gateways[0].failed(Attempt("my-own-password", "10.9.9.9"), NOW)
    counts = FailureCounts(valkey.url)
    keys = [key async for key in counts._client.scan_iter("ece:failures:*")]
    await counts.close()
    assert keys
    assert not any(b"password" in key or b"10.9" in key for key in keys)
