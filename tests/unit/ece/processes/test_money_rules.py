"""Settings about money: where a faucet is, and what may be withdrawn."""

from pathlib import Path
from typing import Any, cast

import pytest

from domain.ledger.withdrawals import Limits
from ece.data_dir import DataDir
from ece.failure import Failure
from ece.processes.gateway_limits import money_rules
from ece.settings import load_settings
from ece.supervisor.supervisor import Supervisor
from gateway.rest.ledger.services import MoneyRules

EXTERNAL = "postgresql://ann@db/ece"


@pytest.mark.parametrize(
    ("database_url", "faucet", "on"),
    [
        (None, "auto", True),
        (None, "off", False),
        (None, "on", True),
        (EXTERNAL, "auto", False),
        (EXTERNAL, "on", True),
        (EXTERNAL, "off", False),
    ],
)
def test_the_embedded_engine_has_a_faucet_and_others_only_if_they_want_one(
    tmp_path: Path, database_url: str | None, faucet: str, on: bool
):
    settings = load_settings(data_dir=tmp_path, database_url=database_url, faucet=faucet, redis_url="redis://cache")
    supervisor = Supervisor(settings, DataDir(tmp_path), tmp_path, cast(Any, _Quiet()))
    assert money_rules(supervisor._settings).faucet is on


@pytest.mark.parametrize(("chain", "on"), [("none", True), ("https://api.devnet.solana.com", False)])
def test_beside_an_external_chain_there_is_no_faucet(tmp_path: Path, chain: str, on: bool):
    settings = load_settings(data_dir=tmp_path, solana_rpc_url=chain, redis_url="redis://cache")
    supervisor = Supervisor(settings, DataDir(tmp_path), tmp_path, cast(Any, _Quiet()))
    assert money_rules(supervisor._settings).faucet is on
    wanted = settings.changed(faucet="on")
    if not on:
        with pytest.raises(Failure, match="ECE_FAUCET=on"):
            Supervisor(wanted, DataDir(tmp_path), tmp_path, cast(Any, _Quiet()))


def test_the_limits_of_withdrawals_are_those_of_the_settings():
    settings = load_settings(
        faucet="off", faucet_max=7, withdrawal_max=5, withdrawal_daily_max=9, withdrawal_approval_above=3,
        withdrawal_cool_down_s=2,
    )  # fmt: skip
    assert money_rules(settings) == MoneyRules(False, 7, Limits(5, 9, 3, 2_000))


class _Quiet:
    def note(self, text: str) -> None:
        """Nothing is said here."""
