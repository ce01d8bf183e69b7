from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.attempts import AttemptLimiter, TooManyAttempts, caller_of

NOW = 1_800_000_000_000


def attempts_allowed(limiter: AttemptLimiter, caller: str, now_ms: int) -> int:
    count = 0
    try:
        while True:
            limiter.attempt(caller, now_ms)
            count += 1
    except TooManyAttempts:
        return count


def test_a_burst_is_allowed_and_then_one_after_another():
    limiter = AttemptLimiter(per_minute=60, burst=5, callers_max=10)
    assert attempts_allowed(limiter, "a", NOW) == 5
    assert attempts_allowed(limiter, "a", NOW + 999) == 0
    assert attempts_allowed(limiter, "a", NOW + 1_000) == 1
    assert attempts_allowed(limiter, "a", NOW + 4_000) == 3
    assert attempts_allowed(limiter, "a", NOW + 3_600_000) == 5


def test_the_refusal_says_how_long_to_wait():
    limiter = AttemptLimiter(per_minute=60, burst=1, callers_max=10)
    limiter.attempt("a", NOW)
    with pytest.raises(TooManyAttempts) as refused:
        limiter.attempt("a", NOW + 400)
    assert refused.value.retry_after_ms == 601
    limiter.attempt("a", NOW + 400 + 601)


def waits(limiter: AttemptLimiter, now_ms: int, count: int) -> list[int]:
    retry_after_ms = []
    for _ in range(count):
        with pytest.raises(TooManyAttempts) as refused:
            limiter.attempt("a", now_ms)
        retry_after_ms.append(refused.value.retry_after_ms)
    return retry_after_ms


def test_each_refusal_names_a_later_time_so_that_all_get_their_turn():
    limiter = AttemptLimiter(per_minute=60, burst=1, callers_max=10)
    limiter.attempt("a", NOW)
    retry_after_ms = waits(limiter, NOW, 3)
    assert retry_after_ms == [1_001, 2_001, 3_001]
    for wait_ms in retry_after_ms:
        limiter.attempt("a", NOW + wait_ms)


def test_the_wait_is_bounded_and_forgotten_once_the_bucket_is_full_again():
    limiter = AttemptLimiter(per_minute=60, burst=1, callers_max=10)
    limiter.attempt("a", NOW)
    assert waits(limiter, NOW, 100)[-1] == 16_001
    limiter.attempt("a", NOW + 3_600_000)
    assert waits(limiter, NOW + 3_600_000, 1) == [1_001]


def test_callers_do_not_hinder_each_other():
    limiter = AttemptLimiter(per_minute=1, burst=1, callers_max=10)
    limiter.attempt("a", NOW)
    limiter.attempt("b", NOW)


def test_the_table_forgets_who_was_seen_longest_ago():
    limiter = AttemptLimiter(per_minute=1, burst=1, callers_max=2)
    for caller in ("a", "b", "c"):
        limiter.attempt(caller, NOW)
    limiter.attempt("a", NOW)
    with pytest.raises(TooManyAttempts):
        limiter.attempt("c", NOW)


def test_one_customers_addresses_are_one_caller():
    assert caller_of("2001:db8:1:2:3::4") == caller_of("2001:db8:1:2::9")
    assert caller_of("2001:db8:1:2::9") != caller_of("2001:db8:1:3::9")
    assert caller_of("192.0.2.1") != caller_of("192.0.2.2")
    assert caller_of("::ffff:192.0.2.1") == caller_of("64:ff9b::192.0.2.1") == "192.0.2.1"
    assert caller_of(None) == ""
    assert caller_of("testclient") == "testclient"


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_an_ipv4_address_counts_as_itself_in_each_of_its_ipv6_forms(address: IPv4Address, prefix: str):
    assert (
        caller_of(str(IPv6Address(int(IPv6Address(prefix)) | int(address)))) == caller_of(str(address)) == str(address)
    )


@given(st.ip_addresses(v=6, network="2000::/3"), st.integers(0, 2**64 - 1))
def test_ipv6_addresses_count_by_their_64(address: IPv6Address, interface: int):
    neighbour = IPv6Address(int(address) >> 64 << 64 | interface)
    assert caller_of(str(neighbour)) == caller_of(str(address))
