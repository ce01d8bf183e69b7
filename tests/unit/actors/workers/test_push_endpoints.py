"""Which endpoints belong to known push services, and how long quiet hours last."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.workers.push.quiet_hours import quiet_for_ms
from persistence.push.endpoints import is_push_endpoint

SERVICES = ("https://fcm.googleapis.com", "https://*.push.apple.com", "http://127.0.0.1:8099")
HOUR_MS = 3_600_000
NOON_MS = int(datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    "endpoint",
    ["https://fcm.googleapis.com/fcm/send/abc:d", "https://web.push.apple.com/Q", "http://127.0.0.1:8099/x?y=1"],
)
def test_endpoints_of_known_services_are_taken(endpoint: str):
    assert is_push_endpoint(endpoint, SERVICES)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x", "https://fcm.googleapis.com:8443/x", "https://fcm.googleapis.com.evil.example/",
        "https://evilpush.apple.com/x", "https://push.apple.com/x", "https://user@fcm.googleapis.com/",
        "https://fcm.googleapis.com@evil.example/", "https://evil.example/#https://fcm.googleapis.com",
        "https://evil.example\\@fcm.googleapis.com/", "http://127.0.0.1:80/", "http://127.0.0.1:8099999/", "https://[::1",
        "file:///etc/passwd", "", "https://fcm.googleapis.com/\n", "https://fcm.googleapis.com/" + "x" * 1000,
    ],
)  # fmt: skip
def test_others_are_not(endpoint: str):
    assert not is_push_endpoint(endpoint, SERVICES)


@given(st.text())
def test_any_text_has_an_answer(endpoint: str):
    assert not is_push_endpoint(endpoint, ())


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [("11:00", "13:30", 1.5), ("22:00", "07:00", 0), ("13:00", "12:00", 0), ("12:00", "11:59", 23 + 59 / 60),
     ("12:00", "12:00", 0), (None, "13:00", 0), ("11:00", None, 0)],
)  # fmt: skip
def test_quiet_hours_last_until_their_end(begin: str | None, end: str | None, hours: float):
    assert quiet_for_ms(NOON_MS, "UTC", begin, end) == hours * HOUR_MS


def test_they_are_by_the_clock_of_the_user():
    assert quiet_for_ms(NOON_MS, "Asia/Tokyo", "20:00", "22:00") == HOUR_MS
    # In the night of 29 March clocks in Berlin go forward: from 23:00 to 07:00 seven hours pass.
    before_midnight = NOON_MS + 10 * HOUR_MS
    assert quiet_for_ms(before_midnight, "Europe/Berlin", "22:00", "07:00") == 7 * HOUR_MS


@given(
    st.integers(0, 4_000_000_000_000), st.times(), st.times(), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"])
)
def test_after_them_it_is_not_quiet(now_ms: int, begin: object, end: object, zone: str):
    first, last = str(begin)[:5], str(end)[:5]
    wait_ms = quiet_for_ms(now_ms, zone, first, last)
    assert 0 <= wait_ms <= 26 * HOUR_MS
    assert wait_ms == 0 or quiet_for_ms(now_ms + wait_ms, zone, first, last) == 0
