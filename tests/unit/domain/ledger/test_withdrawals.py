import pytest

from domain.ledger.currencies import USDC, Currency, shown
from domain.ledger.withdrawals import Limits, Recent, Refusal, State, decide, request

NOW = 1_800_000_000_000
LIMITS = Limits(amount_max=100, daily_max=250, approval_above=50, cool_down_ms=1_000)


def test_small_withdrawals_wait_for_a_chain_and_large_ones_for_an_operator():
    assert request(50, Recent(), LIMITS, NOW) is State.WAITING_FOR_CHAIN
    assert request(51, Recent(), LIMITS, NOW) is State.REQUESTED


def test_what_goes_beyond_a_limit_is_refused_with_what_would_do():
    assert request(101, Recent(), LIMITS, NOW) == Refusal("withdrawal_too_large", 100)
    assert request(51, Recent(200), LIMITS, NOW) == Refusal("daily_limit_reached", 50)
    assert request(100, Recent(120), LIMITS, NOW) is State.REQUESTED
    assert request(1, Recent(260), LIMITS, NOW) == Refusal("daily_limit_reached", 0)


def test_two_withdrawals_have_some_time_between_them():
    assert request(1, Recent(1, NOW - 999), LIMITS, NOW) == Refusal("cooling_down", retry_after_ms=1)
    assert request(1, Recent(1, NOW - 1_000), LIMITS, NOW) is State.WAITING_FOR_CHAIN


REQUESTED, WAITING, SENDING, PAID, FAILED, REJECTED, CANCELLED = State


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("wanted", [WAITING, REJECTED, CANCELLED])
def test_a_withdrawal_is_decided_once(state: State, wanted: State):
    leads_on = {
        (REQUESTED, WAITING), (REQUESTED, REJECTED), (REQUESTED, CANCELLED), (WAITING, REJECTED), (WAITING, CANCELLED)
    }  # fmt: skip
    expected = wanted if state is wanted or (state, wanted) in leads_on else Refusal("withdrawal_decided")
    assert decide(state, wanted) == expected


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0.000000"), (1, "0.000001"), (-1_500_000, "-1.500000"), (2**53 - 1, "9007199254.740991")]
)
def test_amounts_are_shown_exactly(amount: int, text: str):
    assert shown(amount, USDC) == text
    assert shown(-7, Currency("YEN", 0)) == "-7"
