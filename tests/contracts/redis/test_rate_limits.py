"""Rate limits over a real Valkey: the script and the rule in Python agree, gateways share, outages end."""

import asyncio
import itertools
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from valkey_server import Valkey

from domain.rate_limit import Ask, Rate, Taken, per_minute, per_second, take_together
from gateway.identity.attempts import TooManyAttempts
from gateway.limits.leases import CREDIT_MAX, LEASE_MAX, Leases
from gateway.limits.limiter import Attempts, Limiter
from persistence.redis.rate_limits import PREFIX, LimiterUnavailable, RateLimits

HOUR = 3_600_000_000
# These machines are shared: only tests of outages wait for as short as gateways do.
PATIENCE_S = 10.0

_examples = itertools.count()


@pytest.fixture
async def limits(valkey: Valkey) -> AsyncIterator[RateLimits]:
    store = RateLimits(valkey.url, answer_within_s=PATIENCE_S)
    yield store
    await store.close()


asks = st.builds(
    lambda burst, interval, least, more: (Rate(interval * HOUR, burst), least, least + more),
    st.integers(1, 20), st.integers(1, 3), st.integers(1, 5), st.integers(0, 5),
)  # fmt: skip


@pytest.fixture(scope="module")
def started() -> Iterator[Valkey]:
    """One server for all examples of a property."""
    made = Path(tempfile.mkdtemp(prefix="ece-v-"))
    server = Valkey(made)
    asyncio.run(server.start())
    yield server
    server.kill()
    shutil.rmtree(made, ignore_errors=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(asks, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=8))
def test_the_script_takes_as_the_rule_does(started: Valkey, calls: list[tuple[list[tuple[Rate, int, int]], bool]]):
    """Intervals are hours, so that the time which passes between calls gives no token."""
    example = next(_examples)

    async def compare() -> None:
        limits = RateLimits(started.url, answer_within_s=PATIENCE_S)
        full_at: dict[str, int] = {}
        for items, together in calls:
            batch = [Ask(f"{example}.{n}:{rate}", rate, least, most) for n, (rate, least, most) in enumerate(items)]
            found = await limits.take(batch, together=together)
            expected: list[Taken] = []
            for group in [batch] if together else [[ask] for ask in batch]:
                after, taken = take_together(group, [full_at.get(ask.key, 0) for ask in group], 0)
                full_at |= dict(zip((ask.key for ask in group), after, strict=True))
                expected += taken
            assert [(one.granted, one.remaining) for one in found] == [(one.granted, one.remaining) for one in expected]
        await limits.close()

    asyncio.run(compare())


async def test_two_gateways_share_a_bucket(valkey: Valkey):
    stores = [RateLimits(valkey.url, answer_within_s=PATIENCE_S) for _ in range(2)]
    ask = Ask.exactly("account:1", Rate(HOUR, 100))

    async def caller(store: RateLimits) -> int:
        taken = [await store.take([ask], together=True) for _ in range(10)]
        return sum(one[0].granted for one in taken)

    async with asyncio.timeout(20):
        granted = await asyncio.gather(*(caller(stores[n % 2]) for n in range(30)))
    assert sum(granted) == 100
    for store in stores:
        await store.close()


async def test_a_bucket_that_is_full_again_leaves_no_key(valkey: Valkey, limits: RateLimits):
    await limits.take([Ask.exactly("address:a", Rate(1_000_000, 3))], together=True)
    assert await valkey.do("EXISTS", f"{PREFIX}address:a") == 1
    async with asyncio.timeout(5):
        while await valkey.do("EXISTS", f"{PREFIX}address:a"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_check_is_one_round_trip(valkey: Valkey, limits: RateLimits):
    asks = [Ask.exactly(f"k{n}:1", per_second(10, 10)) for n in range(3)]
    await limits.take(asks, together=True)
    before = await commands(valkey)
    for _ in range(20):
        await limits.take(asks, together=True)
    after = await commands(valkey)
    assert after["evalsha"] - before["evalsha"] == 20
    assert sum((after - before).values()) <= 20 + 20 * 7 + 10, "GET, SET and TIME within the script, and INFO"


async def commands(valkey: Valkey) -> Counter[str]:
    stats = await valkey.do("INFO", "commandstats")
    assert isinstance(stats, dict)
    return Counter({name.removeprefix("cmdstat_"): about["calls"] for name, about in stats.items()})


async def test_debt_is_paid_beyond_the_burst_and_delays_what_follows(limits: RateLimits):
    rate = Rate(HOUR, 10)
    (taken,) = await limits.take([Ask("bids:1", rate, 1, 5, 12)], together=False)
    assert (taken.granted, taken.remaining) == (0, 0)
    assert taken.retry_us == 3 * HOUR


async def test_while_valkey_does_not_answer_the_limiter_counts_by_itself_or_admits_all(valkey: Valkey):
    store = RateLimits(valkey.url, answer_within_s=0.05)
    closed, opened = Limiter(store, "local"), Limiter(store, "open")
    ask = Ask.exactly("account:1", Rate(HOUR, 2))
    valkey.kill()
    with pytest.raises(LimiterUnavailable):
        await store.take([ask], together=True)
    began = time.monotonic()
    assert [(await closed.take([ask]))[0].granted for _ in range(4)] == [1, 1, 0, 0]
    assert [(await opened.take([ask]))[0].granted for _ in range(4)] == [1, 1, 1, 1]
    assert time.monotonic() - began < 1, "after a failure nobody waits for Redis"
    await valkey.start()
    async with asyncio.timeout(10):
        while await closed.take_shared([ask]) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await store.close()


async def test_a_server_that_hangs_delays_one_request_only(valkey: Valkey):
    store = RateLimits(valkey.url)
    limiter, ask = Limiter(store), Ask.exactly("account:1", Rate(HOUR, 50))
    valkey.pause()
    try:
        began = time.monotonic()
        assert [(await limiter.take([ask]))[0].granted for _ in range(10)] == [1] * 10
        assert time.monotonic() - began < 0.9
    finally:
        valkey.go_on()
        await store.close()


async def test_attempts_count_on_all_gateways(valkey: Valkey):
    stores = [RateLimits(valkey.url, answer_within_s=PATIENCE_S) for _ in range(2)]
    gateways = [
        Attempts(Limiter(store), "logins", per_minute_max=1, burst=5, callers_max=10) for store in stores
    ]  # fmt: skip
    for n in range(5):
        await gateways[n % 2].attempt("192.0.2.1 ann", 0)
    with pytest.raises(TooManyAttempts) as refused:
        await gateways[0].attempt("192.0.2.1 ann", 0)
    assert 0 < refused.value.retry_after_ms <= 60_000
    await gateways[0].attempt("192.0.2.1 bob", 0)
    assert not [key for key in await keys(valkey) if "ann" in key], "no logins in Redis"
    for store in stores:
        await store.close()


async def keys(valkey: Valkey) -> list[str]:
    found = await valkey.do("KEYS", "*")
    assert isinstance(found, list)
    return [key.decode() for key in found]


async def test_leases_of_two_gateways_admit_a_burst_and_little_more(valkey: Valkey):
    """What is admitted on credit before the first answers is paid afterwards."""
    burst = 400
    stores = [RateLimits(valkey.url, answer_within_s=PATIENCE_S) for _ in range(2)]
    all_leases = [Leases(Limiter(store), Rate(HOUR, burst)) for store in stores]
    admitted = 0
    for _ in range(400):
        admitted += sum(leases.of(7).take() for leases in all_leases)
        await asyncio.sleep(0.001)
    assert burst - 2 * LEASE_MAX <= admitted <= burst + 2 * CREDIT_MAX
    assert admitted >= burst * 3 // 4
    before = await commands(valkey)
    assert before["evalsha"] <= admitted // 10, "most commands need no round trip"
    for leases, store in zip(all_leases, stores, strict=True):
        await leases.stop()
        await store.close()


async def test_the_asks_of_many_accounts_go_in_one_call(valkey: Valkey):
    store = RateLimits(valkey.url, answer_within_s=PATIENCE_S)
    leases = Leases(Limiter(store), per_minute(600, 100))
    await store.take([Ask.exactly("x:1", per_second(1, 1))], together=True)
    before = await commands(valkey)
    assert all(leases.of(account).take() for account in range(200))
    async with asyncio.timeout(5):
        while not all(leases.of(account).tokens for account in range(200)):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    after = await commands(valkey)
    assert after["evalsha"] - before["evalsha"] == 1
    await leases.stop()
    await store.close()
