"""The table of load profiles, and what is prepared for them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.locust.prepare import class_counts, wave_ends_ms
from bench.locust.profiles import PROFILES, Profile

LOCUST = Path(__file__).parents[4] / "bench/locust"
CLASSES = {
    name for path in (LOCUST / "users").glob("*.py") for name in re.findall(r"^class (\w+)", path.read_text(), re.M)
}
BOUNDS = ("ack_p99_ms", "update_p99_ms", "close_p99_ms", "rest_p95_ms")


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_class_of_users_in_a_profile_exists(profile: Profile):
    assert set(profile.weights) <= CLASSES


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_class_of_users_takes_part_and_something_is_judged(profile: Profile):
    assert profile.users >= sum(profile.weights.values()), "Locust gives each class its share from so many users on"
    assert any(getattr(profile.slo, bound) is not None for bound in BOUNDS)
    assert 0 < profile.slo.error_share < 1


def test_every_class_of_users_is_in_the_smoke_test_except_the_one_that_needs_a_recording():
    people = CLASSES - {"Person", "SocketPerson", "OneLotBidder", "Replayer"}
    assert set(PROFILES["smoke"].weights) == people


def test_the_users_of_a_class_are_its_share_of_the_weights_rounded_up():
    assert class_counts(PROFILES["watch"], 110) == {"SteadyBidder": 10, "Watcher": 100}
    assert class_counts(PROFILES["watch"], 12) == {"SteadyBidder": 2, "Watcher": 11}


def test_auctions_end_together_in_waves_for_as_long_as_the_run_lasts():
    ends = wave_ends_ms(PROFILES["smoke"], 1_000, 7.0)
    assert ends == [4_000, 4_000, 7_000, 7_000, 10_000, 10_000]


def test_a_day_of_waves_is_bounded():
    assert len(wave_ends_ms(PROFILES["snipe"], 0, 86_400.0)) == 5_000


def test_profiles_and_plans_are_read_without_importing_locust():
    code = (
        "import sys, bench.locust.profiles, bench.locust.prepare, bench.locust.run, bench.registry;"
        "print(sorted({'locust', 'gevent'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip() == "[]"
