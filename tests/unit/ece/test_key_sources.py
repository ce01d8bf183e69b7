from pathlib import Path

import pytest
from solders.keypair import Keypair

from chain.wallets.platform_keys import PlatformKeys
from ece.failure import Failure
from ece.key_sources import check_keys, key_sources, wallet_secrets
from ece.settings import Settings


def test_without_settings_the_keys_are_in_the_data_directory(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    PlatformKeys(key_sources(settings))
    assert len(wallet_secrets(settings)()) == 1
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == ["chain", "wallets"]


def test_settings_come_before_files(tmp_path: Path):
    payers = [Keypair(), Keypair()]
    settings = Settings(
        data_dir=tmp_path, wallet_key=f"{'n' * 32}, {'o' * 32}", chain_fee_payers=",".join(map(str, payers))
    )
    assert wallet_secrets(settings)() == ["n" * 32, "o" * 32]
    keys = PlatformKeys(key_sources(settings))
    assert [keys.fee_payer(index).address for index in range(2)] == [pair.pubkey() for pair in payers]


@pytest.mark.parametrize(
    "values",
    [
        {"wallet_key": "n" * 20 + "," + "o" * 20},
        {"chain_vault_key": "nonsense"},
        {"chain_fee_payers": f"{Keypair()},nonsense"},
        {"chain_treasury_key": "https://signer.example/no-address"},
    ],
)
def test_keys_that_cannot_be_used_are_a_clear_failure_at_the_start(tmp_path: Path, values: dict[str, str]):
    with pytest.raises(Failure, match="can't be used") as failed:
        check_keys(Settings(data_dir=tmp_path, **values))
    assert not any(value in str(failed.value) for value in values.values())


def test_keys_that_are_missing_are_made_and_without_a_chain_only_that_of_wallets(tmp_path: Path):
    check_keys(Settings(data_dir=tmp_path / "off", solana_rpc_url="none"))
    assert [path.name for path in (tmp_path / "off" / "secrets").iterdir()] == ["wallets"]
    check_keys(Settings(data_dir=tmp_path / "on"))
    assert sorted(path.name for path in (tmp_path / "on" / "secrets").iterdir()) == ["chain", "wallets"]


def test_no_secret_is_shown(tmp_path: Path):
    pair = Keypair()
    settings = Settings(data_dir=tmp_path, wallet_key="n" * 32, chain_vault_key=str(pair))
    for text in (repr(settings), repr(key_sources(settings)), repr(wallet_secrets(settings))):
        assert str(pair) not in text
        assert "n" * 32 not in text
