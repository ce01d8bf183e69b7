"""Data keys on a real database: made once, loaded by every process, rotated by `ece keys` while it is killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from actors.data_keys import DataKeys
from chain.wallets.cipher import CannotDecrypt, KeyCipher
from chain.wallets.custody import Wallets
from chain.wallets.envelope import EnvelopeCipher
from chain.wallets.key_files import WalletSecrets
from ece import cli
from ece.commands.security import keys as keys_command
from ece.failure import Failure
from ece.key_rotation import encrypt_again
from gateway.identity.emails import EmailEncryption
from gateway.identity.second_factor import SecondFactorCheck, factor_context
from persistence.accounts.collecting import user_data
from persistence.identity.store import EmailTaken, UserStore
from persistence.keys.data_keys import DataKeyRows
from persistence.keys.sealed_values import SealedColumns, SealedValue, SealedValues
from persistence.postgres.pool import Pool, close_pool, open_pool
from persistence.wallets.custody import CustodialWallets
from persistence.wallets.second_factors import SecondFactors

NOW = 1_800_000_000_000
MANY = 4_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def keys_of(pool: Pool, secrets: Callable[[], list[str]]) -> DataKeys:
    keys = DataKeys(DataKeyRows(pool), EnvelopeCipher(secrets, now_ms), now_ms)
    await keys.open()
    return keys


class Scene:
    """A database with encrypted values, and its secrets in a directory."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self.secrets = WalletSecrets(directory / "secrets" / "wallets")

    def on_pool(self, work: Callable[[Pool], object]) -> object:
        async def run() -> object:
            pool = await open_pool(self.url, size_max=2)
            try:
                return await work(pool)  # type: ignore[misc]
            finally:
                await close_pool(pool)

        return asyncio.run(run())

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(cli.app, ["keys", *words])

    def status(self) -> list[dict[str, object]]:
        shown = self.run("status", "--json")
        assert shown.exit_code == 0, shown.output
        found: list[dict[str, object]] = json.loads(shown.stdout)
        return found

    def states(self, kind: str) -> list[str]:
        return [str(key["state"]) for key in self.status() if key["kind"] == kind]


@pytest.fixture
def scene(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("ECE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ECE_DATABASE_URL", database_url)
    monkeypatch.setattr(keys_command, "ACTIVATION_MS", 100)
    mine = Scene(database_url, tmp_path)
    mine.on_pool(_emptied)
    return mine


async def _emptied(pool: Pool) -> None:
    await pool.execute("DELETE FROM custodial_wallets")
    await pool.execute("DELETE FROM second_factors")
    await pool.execute("DELETE FROM data_keys")
    await pool.execute("UPDATE users SET email_sealed = NULL, email_key_id = NULL, email_key = 'gone' || user_id")


async def _person(pool: Pool, cipher: KeyCipher, name: str) -> tuple[int, str]:
    user = (await UserStore(pool).create(name, f"{name}@example.org", "hash")).user_id
    await SecondFactorCheck(SecondFactors(pool), cipher).begin(user, name, NOW)
    return user, str(await Wallets(CustodialWallets(pool), cipher).custodial_address(user))


async def test_processes_that_begin_together_share_one_key(pool: Pool):
    await _emptied(pool)
    found = await asyncio.gather(*(keys_of(pool, lambda: ["s" * 40]) for _ in range(4)))
    assert len({keys.cipher.key_id for keys in found}) == 1
    assert len(await DataKeyRows(pool).all()) == 2
    sealed = found[0].cipher.seal(b"x", b"")
    assert found[3].cipher.open(sealed.key_id, sealed.sealed, b"") == b"x"


async def test_a_process_without_the_master_key_does_not_start_with_new_keys(pool: Pool):
    await _emptied(pool)
    await keys_of(pool, lambda: ["s" * 40])
    before = await DataKeyRows(pool).all()
    with pytest.raises(CannotDecrypt):
        await keys_of(pool, lambda: ["n" * 40])
    assert await DataKeyRows(pool).all() == before


async def test_a_running_process_uses_a_new_key_once_it_is_usable(pool: Pool):
    await _emptied(pool)
    keys = await keys_of(pool, lambda: ["s" * 40])
    first = keys.cipher.key_id
    later, now = keys.cipher.new_data_key(now_ms() + 60_000), keys.cipher.new_data_key(now_ms())
    for key in (later, now):
        await DataKeyRows(pool).add(key)
    await keys.refresh()
    assert first != keys.cipher.key_id == now.key_id


async def test_a_value_that_changes_during_a_rotation_stays_as_its_user_made_it(pool: Pool):
    await _emptied(pool)
    keys = await keys_of(pool, lambda: ["s" * 40])
    await _person(pool, keys.cipher, "race")
    values = SealedValues(pool, SealedColumns("second_factors"))
    (read,) = await values.not_of("another", 0, 10)
    await pool.execute("UPDATE second_factors SET sealed = '\\x1234'")
    await values.replace([(read, SealedValue(read.row, (), "new", b"stale"))])
    assert bytes(await pool.fetchval("SELECT sealed FROM second_factors")) == b"\x12\x34"


async def test_users_go_on_while_everything_is_encrypted_again(pool: Pool):
    """A gateway that has not loaded the new key yet, and one that has, write and read during a rotation."""
    await _emptied(pool)
    early, late = await keys_of(pool, lambda: ["s" * 40]), await keys_of(pool, lambda: ["s" * 40])
    old = early.cipher.key_id
    users = await UserStore(pool).provision([f"busy{number}" for number in range(300)])
    ids = [user.user_id for user in users.values()]
    store = SecondFactors(pool)
    for user in ids[:200]:
        await SecondFactorCheck(store, late.cipher).begin(user, "x", NOW)
    await DataKeyRows(pool).add(early.cipher.new_data_key(now_ms()))
    await early.refresh()

    async def enrol() -> None:
        for number, user in enumerate(ids):
            cipher = (early, late)[number % 2].cipher
            await SecondFactorCheck(store, cipher).begin(user, "x", NOW)

    async def rotate() -> None:
        async for _ in encrypt_again(pool, early.cipher):
            pass

    await asyncio.gather(enrol(), rotate())
    # What the late one has written since with the old key is left to the next run, which any run is.
    await rotate()
    await late.refresh()
    assert set(await SealedValues(pool, SealedColumns("second_factors")).counts()) == {early.cipher.key_id} != {old}
    for user in ids:
        factor = await store.get(user)
        assert factor is not None
        assert len(late.cipher.open(factor.key_id, factor.sealed, factor_context(user))) == 32


def test_values_of_before_data_keys_are_rotated(scene: Scene):
    old = KeyCipher(scene.secrets)
    user, address = scene.on_pool(lambda pool: _person(pool, old, "legacy"))  # type: ignore[misc]
    assert old.key_id in {key["key_id"] for key in scene.status()}
    scene.on_pool(lambda pool: keys_of(pool, scene.secrets))
    done = scene.run("rotate")
    assert done.exit_code == 0, done.output
    assert "2 values" in done.output
    current = [key for key in scene.status() if key["kind"] == "data" and key["state"] == "current"]
    assert [key["uses"] for key in current] == [{"custodial wallets": 1, "second factors": 1}]

    async def address_now(pool: Pool) -> str:
        keys = await keys_of(pool, scene.secrets)
        return str((await Wallets(CustodialWallets(pool), keys.cipher).signer(user)).address)

    assert scene.on_pool(address_now) == address


def test_a_new_master_key_changes_no_value(scene: Scene):
    keys = scene.on_pool(lambda pool: keys_of(pool, scene.secrets))
    scene.on_pool(lambda pool: _person(pool, keys.cipher, "wrapped"))  # type: ignore[attr-defined]
    before = scene.on_pool(lambda pool: pool.fetch("SELECT sealed FROM second_factors"))
    (old,) = scene.secrets()
    assert isinstance(scene.run("retire").exception, type(None))
    done = scene.run("rewrap")
    assert done.exit_code == 0, done.output
    assert "2 data keys" in done.output
    assert sorted(scene.states("master")) == ["current", "unused"]
    assert len(scene.secrets()) == 2
    assert scene.run("retire").exit_code == 0
    assert len(scene.secrets()) == 1
    assert old not in scene.secrets()
    assert scene.on_pool(lambda pool: pool.fetch("SELECT sealed FROM second_factors")) == before
    scene.on_pool(lambda pool: keys_of(pool, scene.secrets))


def test_a_rewrap_that_died_before_the_database_is_finished(scene: Scene):
    scene.on_pool(lambda pool: keys_of(pool, scene.secrets))
    (old,) = scene.secrets()
    scene.secrets.path.write_text(f"{'n' * 40}\n{old}\n")
    assert isinstance(scene.run("retire").exception, Failure)
    assert scene.run("rewrap").exit_code == 0
    assert scene.secrets() == ["n" * 40, old]
    assert sorted(scene.states("master")) == ["current", "unused"]


def test_an_older_key_is_kept_while_a_process_may_still_use_it(scene: Scene):
    scene.on_pool(lambda pool: keys_of(pool, scene.secrets))
    assert scene.run("rotate").exit_code == 0
    assert scene.states("data") == ["unused", "current"]
    assert "0 data keys" in scene.run("retire").output
    long_ago = "UPDATE data_keys SET usable_from = usable_from - 4000000 WHERE usable_from > 0"
    scene.on_pool(lambda pool: pool.execute(long_ago))
    assert "1 data keys" in scene.run("retire").output
    assert scene.states("data") == ["current"]


def test_a_rotation_that_is_killed_goes_on_where_it_was_and_loses_nothing(scene: Scene):
    keys = scene.on_pool(lambda pool: keys_of(pool, scene.secrets))
    cipher: EnvelopeCipher = keys.cipher  # type: ignore[attr-defined]
    addresses = scene.on_pool(lambda pool: _many_wallets(pool, cipher))
    new = cipher.new_data_key(now_ms())
    scene.on_pool(lambda pool: DataKeyRows(pool).add(new))
    killed_at = []
    for _ in range(3):
        killed_at.append(_killed_in_the_middle(scene, new.key_id, sum(killed_at) + 1))
    assert 0 < killed_at[-1] < MANY
    done = scene.run("rotate")
    assert done.exit_code == 0, done.output
    assert new.key_id in done.output

    async def all_addresses(pool: Pool) -> dict[int, str]:
        newest = EnvelopeCipher(scene.secrets, now_ms)
        newest.install([row for row in await DataKeyRows(pool).all() if row.key_id == new.key_id])
        signers = await Wallets(CustodialWallets(pool), newest).signers(list(addresses))  # type: ignore[call-overload]
        return {user: str(signer.address) for user, signer in signers.items()}  # type: ignore[union-attr]

    assert scene.on_pool(all_addresses) == addresses


async def _many_wallets(pool: Pool, cipher: EnvelopeCipher) -> dict[int, str]:
    users = await UserStore(pool).provision([f"w{number}" for number in range(MANY)])
    ids = [user.user_id for user in users.values()]
    found = await Wallets(CustodialWallets(pool), cipher).custodial_addresses(ids)
    return {user: str(address) for user, address in found.items()}


def _killed_in_the_middle(scene: Scene, key_id: str, at_least: int) -> int:
    """Kill a rotation once it has done so many; returns how many are done."""
    command = [sys.executable, "-m", "ece.cli", "keys", "rotate"]
    process = subprocess.Popen(command, env={**os.environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def killed(pool: Pool) -> int:
        count, deadline = 0, time.monotonic() + 60
        while count < at_least and process.poll() is None:
            assert time.monotonic() < deadline
            count = await pool.fetchval("SELECT count(*) FROM custodial_wallets WHERE key_id = $1", key_id)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        return int(await pool.fetchval("SELECT count(*) FROM custodial_wallets WHERE key_id = $1", key_id))

    return int(scene.on_pool(killed))  # type: ignore[call-overload]


def test_addresses_are_encrypted_found_and_unique_in_both_forms(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ECE_ENCRYPT_EMAILS", "true")
    keys = scene.on_pool(lambda pool: keys_of(pool, scene.secrets))
    cipher: EnvelopeCipher = keys.cipher  # type: ignore[attr-defined]

    async def registered(pool: Pool) -> None:
        await UserStore(pool, EmailEncryption(cipher, seals=False)).create("plain", "Plain@example.org", "h")
        sealing = UserStore(pool, EmailEncryption(cipher, seals=True))
        await sealing.create("sealed", "Sealed@example.org", "h")
        for address in ("plain@EXAMPLE.org", "sealed@example.org"):
            for store in (sealing, UserStore(pool, EmailEncryption(cipher, seals=False))):
                with pytest.raises(EmailTaken):
                    await store.create("another", address, "h")
                found = await store.by_login(address)
                assert found is not None
                assert found.email.lower() == address.lower()

    async def exported(pool: Pool) -> list[str]:
        """What the export of an account has."""
        emails = EmailEncryption(cipher, seals=True)
        user = await UserStore(pool, emails).by_login("sealed")
        assert user is not None
        async with user_data(pool, emails, user.user_id) as data:
            return [row["email"] async for row in data.rows("users")]

    async def stored(pool: Pool) -> str:
        return str(await pool.fetch("SELECT email, email_key FROM users WHERE username IN ('plain', 'sealed')"))

    scene.on_pool(registered)
    assert "plain@example.org" in str(scene.on_pool(stored)).lower()
    assert "sealed@" not in str(scene.on_pool(stored)).lower()
    assert scene.on_pool(exported) == ["Sealed@example.org"]
    done = scene.run("emails")
    assert done.exit_code == 0, done.output
    assert "example.org" not in str(scene.on_pool(stored)).lower()
    assert scene.run("rotate").exit_code == 0

    async def read(pool: Pool) -> str:
        again = await keys_of(pool, scene.secrets)
        user = await UserStore(pool, EmailEncryption(again.cipher, seals=True)).by_login("plain@example.org")
        assert user is not None
        return user.email

    assert scene.on_pool(read) == "Plain@example.org"
    monkeypatch.setenv("ECE_ENCRYPT_EMAILS", "false")
    assert scene.run("emails").exit_code == 0
    assert "Sealed@example.org" in str(scene.on_pool(stored))
