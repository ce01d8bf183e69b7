"""The checker of minted copies: a chain that agrees has no violation, and each lie is found, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest

from bench.faults.minting import MINTING, mint_violations

Holders = list[dict[str, Any]]


def agreeing() -> Holders:
    return [{"copy": f"c{n}", "asset": f"a{n}", "agrees": True} for n in range(3)]


def minted_without_a_row(holders: Holders) -> None:
    holders.append({"copy": "c9", "asset": "a9", "agrees": True})


def never_minted(holders: Holders) -> None:
    holders.pop()


def held_by_another(holders: Holders) -> None:
    holders[1]["agrees"] = False


def one_asset_for_two_copies(holders: Holders) -> None:
    holders[2]["asset"] = "a0"


def test_a_chain_that_agrees_breaks_no_promise():
    assert mint_violations(3, agreeing()) == []


@pytest.mark.parametrize("lie", [minted_without_a_row, never_minted, held_by_another, one_asset_for_two_copies])
def test_each_lie_is_found_once(lie: Callable[[Holders], None]):
    holders = agreeing()
    lie(holders)
    assert [found.kind for found in mint_violations(3, holders)] == [MINTING]
