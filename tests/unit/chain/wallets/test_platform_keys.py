import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chain.wallets.key_files import UnusableKey, WalletSecrets, keypair_in
from chain.wallets.platform_keys import KeySources, PlatformKeys, signer_from
from chain.wallets.remote_signer import RemoteSigner


def test_keys_are_made_once_for_their_owner_alone(tmp_path: Path):
    keys = PlatformKeys(KeySources(tmp_path / "chain"))
    again = PlatformKeys(KeySources(tmp_path / "chain"))
    assert keys.fee_payer(1).address == again.fee_payer(1).address != keys.fee_payer(0).address
    assert keys.addresses()["vault"] == again.addresses()["vault"]
    files = list((tmp_path / "chain").iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "chain").stat().st_mode) == 0o700
    assert sorted(file.name for file in files) == [
        "authority.json", "fee-payer-0.json", "fee-payer-1.json", "treasury.json", "vault.json"
    ]  # fmt: skip


def test_fee_payers_that_there_are_can_be_listed(tmp_path: Path):
    keys = PlatformKeys(KeySources(tmp_path))
    assert keys.known_fee_payers() == []
    address = keys.fee_payer(3).address
    assert [signer.address for signer in PlatformKeys(KeySources(tmp_path)).known_fee_payers()] == [address]
    payers = [Keypair(), Keypair()]
    given = PlatformKeys(KeySources(tmp_path, fee_payers=[str(pair) for pair in payers]))
    assert [signer.address for signer in given.known_fee_payers()] == [pair.pubkey() for pair in payers]


def test_processes_that_start_at_once_have_the_same_keys(tmp_path: Path):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: str(keypair_in(tmp_path / "key.json").pubkey()), range(32)))
    assert len(set(found)) == 1


def test_a_file_of_the_solana_tools_is_read(tmp_path: Path):
    pair = Keypair()
    path = tmp_path / "id.json"
    path.write_text(json.dumps(list(bytes(pair))))
    path.chmod(0o600)
    assert keypair_in(path) == pair


@pytest.mark.parametrize("text", ["", "[]", "[1, 2]", "{}", "null", json.dumps([0] * 64), json.dumps([300] * 64), "x"])
def test_a_damaged_file_is_named_and_not_replaced(tmp_path: Path, text: str):
    path = tmp_path / "authority.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UnusableKey, match=r"authority\.json"):
        PlatformKeys(KeySources(tmp_path))
    assert path.read_text() == text


def test_a_file_that_others_may_read_is_refused(tmp_path: Path):
    keypair_in(tmp_path / "vault.json")
    (tmp_path / "vault.json").chmod(0o640)
    with pytest.raises(UnusableKey, match="chmod 600"):
        PlatformKeys(KeySources(tmp_path))


def test_keys_come_from_the_environment_or_a_remote_signer(tmp_path: Path):
    local, remote, payer = Keypair(), Keypair(), Keypair()
    url = f"https://signer.example/sign?tenant=1#{remote.pubkey()}"
    keys = PlatformKeys(KeySources(tmp_path, vault=url, authority=str(local), fee_payers=(str(payer),)))
    assert keys.authority.address == local.pubkey()
    assert isinstance(keys.vault, RemoteSigner)
    assert keys.vault.address == remote.pubkey()
    assert keys.fee_payer(0).address == payer.pubkey()
    with pytest.raises(UnusableKey, match="no fee payer 1"):
        keys.fee_payer(1)


@pytest.mark.parametrize(
    "source", ["", "nonsense", "https://signer.example/sign", "https://signer.example/#nonsense", f"ftp://x/#{Pubkey.default()}",
               f"https:///x#{Pubkey.default()}", "1" * 88]
)  # fmt: skip
def test_a_source_that_is_no_key_is_refused_without_showing_it(source: str):
    with pytest.raises(UnusableKey) as refused:
        signer_from("vault", source, None)
    assert not source or source not in str(refused.value)


def test_one_key_for_two_purposes_is_refused(tmp_path: Path):
    pair = Keypair()
    with pytest.raises(UnusableKey, match="different"):
        PlatformKeys(KeySources(tmp_path, vault=str(pair), treasury=str(pair)))


def test_nothing_shows_a_secret_key(tmp_path: Path):
    pair = Keypair()
    sources = KeySources(tmp_path, authority=str(pair), fee_payers=(str(pair),), signer_token="the token")
    keys = PlatformKeys(sources)
    for text in (repr(sources), repr(keys), repr(keys.authority), repr(WalletSecrets(tmp_path, ("a secret",)))):
        assert str(pair) not in text
        assert "the token" not in text
        assert "a secret" not in text
    assert str(pair.pubkey()) in repr(keys)


def test_the_secret_of_the_wallets_is_made_once(tmp_path: Path):
    secrets = WalletSecrets(tmp_path / "wallets")
    assert secrets() == secrets() == WalletSecrets(tmp_path / "wallets")()
    assert len(secrets()[0]) >= 32
    assert stat.S_IMODE((tmp_path / "wallets").stat().st_mode) == 0o600
    assert WalletSecrets(tmp_path / "other", ("x" * 32,))() == ["x" * 32]
    assert not (tmp_path / "other").exists()


def test_an_empty_file_of_secrets_is_not_filled(tmp_path: Path):
    (tmp_path / "wallets").touch(0o600)
    with pytest.raises(UnusableKey, match="empty"):
        WalletSecrets(tmp_path / "wallets")()
