import stat
from pathlib import Path

from chain.wallets.cipher import KeyCipher, key_id_of
from chain.wallets.key_files import WalletSecrets
from chain.wallets.rotation import add_secret, drop_secrets


def test_a_running_process_encrypts_with_a_new_secret_and_still_decrypts_with_the_old_one(tmp_path: Path):
    path = tmp_path / "wallets"
    running = KeyCipher(WalletSecrets(path))
    before = running.seal(b"seed", b"ann")
    new = add_secret(path)
    after = running.seal(b"seed", b"ann")
    assert (before.key_id != new, after.key_id) == (True, new)
    assert {running.open(one.key_id, one.sealed, b"ann") for one in (before, after)} == {b"seed"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_the_newest_secret_is_left_in_the_end(tmp_path: Path):
    path = tmp_path / "wallets"
    keys = [add_secret(path) for _ in range(3)]
    assert drop_secrets(path) == 3
    assert [key_id_of(secret) for secret in WalletSecrets(path)()] == keys[-1:]
    assert drop_secrets(path) == 0
