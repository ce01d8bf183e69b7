"""Figures of stacks that were measured in turn."""

from bench.loads.load import Measured
from bench.measures.compare.ratios import goals, pair_ratios, shape_figures


def measured(accepted: int, p50: float | None = 2.0, **more: float) -> Measured:
    return Measured(
        accepted=accepted, refused={"bid_too_low": 4}, acks=accepted + 4, updates=accepted * 50, window_s=2.0,
        ack_ms={"p50": p50, "p99": 9.0}, update_ms={"p50": None, "p99": None}, lost_connections=0,
        client_cpu=more.get("client_cpu", 0.5), tops=[1], acknowledged=[[(1, 10), (2, 20)], [(1, 10)]],
    )  # fmt: skip


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds_and_not_the_ratio_of_the_medians():
    ratios = pair_ratios([100.0, 200.0, 900.0], [10.0, 100.0, 100.0])
    assert ratios == {"median": 9.0, "min": 2.0, "max": 10.0, "each": [10.0, 2.0, 9.0]}


def test_of_an_even_number_of_rounds_the_median_is_between_the_two_in_the_middle():
    assert pair_ratios([10.0, 30.0], [10.0, 10.0])["median"] == 2.0


def test_a_stack_has_its_rates_by_round_and_the_rest_as_medians():
    rounds = {"engine": [measured(1_000, 1.0), measured(2_000, 4.0, client_cpu=0.8), measured(4_000, 2.0)]}
    assert shape_figures(rounds) == {
        "engine": {
            "accepted_per_s": [500.0, 1_000.0, 2_000.0], "refused_per_s": 2.0, "ack_ms": {"p50": 2.0, "p99": 9.0},
            "update_ms": {"p50": None, "p99": None}, "updates_per_bid": 50.0, "client_cpu": 0.8,
            "client_us_per_bid": 800.0, "checked_acks": 9,
        }
    }  # fmt: skip


def test_only_peers_have_a_ratio():
    figures = shape_figures({"engine": [measured(1_000)], "pg": [measured(100)]})
    assert "ratio" not in figures["engine"]
    assert figures["pg"]["ratio"]["median"] == 10.0


def test_goals_are_judged_by_the_median_and_only_where_shape_and_peer_were_measured():
    hot = {"engine": {}, "prisma": {"ratio": {"median": 20.0}}, "pg": {"ratio": {"median": 3.0}}}
    assert goals({"spread": hot}) == []
    assert goals({"hot": hot}) == [{"shape": "hot", "peer": "prisma", "goal": 20.0, "ratio": 20.0, "met": True}]
    missed = {"one-statement": {"ratio": {"median": 7.99}}}
    assert [goal["met"] for goal in goals({"hot": missed})] == [False]
