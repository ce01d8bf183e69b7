"""Exports that wait for their download, encrypted: read by their users alone, and by nobody who has the database."""

import io
import zipfile
from collections.abc import AsyncIterator
from functools import partial

import pytest

from actors.data_keys import DataKeys
from actors.workers.accounts import ExportUsers
from chain.wallets.cipher import CannotDecrypt
from chain.wallets.envelope import EnvelopeCipher
from domain.ids import parse_id
from ece.key_rotation import counts_by_key, encrypt_again
from gateway.identity.exports import ExportEncryption
from persistence.accounts.collecting import user_data
from persistence.accounts.exports import Exports
from persistence.keys.data_keys import DataKeyRows
from persistence.postgres.pool import close_pool, open_pool
from tests.job_runs import run_due
from tests.rest.accounts.test_rest_accounts import BODY, user
from tests.rest.rest_engine import SECRET, Person, RestEngine, rest_engine

ZIP = b"PK\x03\x04"


@pytest.fixture
async def cipher(database_url: str) -> AsyncIterator[EnvelopeCipher]:
    pool = await open_pool(database_url, size_max=2)
    keys = DataKeys(DataKeyRows(pool), EnvelopeCipher(lambda: [SECRET], lambda: 1_800_000_000_000), lambda: 0)
    await keys.open()
    yield keys.cipher
    await close_pool(pool)


@pytest.fixture
async def sealing(database_url: str, cipher: EnvelopeCipher) -> AsyncIterator[RestEngine]:
    async with rest_engine(database_url, exports=ExportEncryption(cipher, seals=True)) as engine:
        yield engine


async def made(person: Person, exports: Exports) -> int:
    """The number of the finished export of this user, asked for now."""
    engine = person.engine
    assert (await person.post("/users/me/export", BODY)).status_code == 202
    await run_due(engine.pool, ExportUsers(exports, partial(user_data, engine.pool, None), engine.services.now_ms))
    state = (await person.get("/users/me/export")).json()
    assert state["state"] == "ready", state
    return parse_id(state["id"])


async def downloaded(person: Person) -> bytes:
    state = (await person.get("/users/me/export")).json()
    answer = await person.get(f"/users/me/export/{state['id']}")
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == state["size"]
    assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None
    return answer.content


async def bodies(engine: RestEngine, export: int) -> list[bytes]:
    rows = await engine.pool.fetch("SELECT body FROM user_export_pages WHERE export_id = $1 ORDER BY page", export)
    return [row["body"] for row in rows]


async def test_what_is_stored_of_an_export_is_no_zip_and_what_its_user_gets_is(
    sealing: RestEngine, cipher: EnvelopeCipher
):
    ann = await user(sealing, "ann_sealed")
    export = await made(ann, sealing.services.profiles.exports)
    stored = await bodies(sealing, export)
    assert (await downloaded(ann)).startswith(ZIP)
    assert not any(ZIP in body for body in stored)
    # The key that encrypted them is in the database too, encrypted.
    assert (await counts_by_key(sealing.pool))["exports"] == {cipher.key_id: 1}


async def test_without_the_setting_an_export_is_stored_as_it_is_and_read_after_it_is_set(
    sealing: RestEngine, cipher: EnvelopeCipher
):
    bob, cas = await user(sealing, "bob_clear"), await user(sealing, "cas_sealed")
    clear = await made(bob, Exports(sealing.pool, ExportEncryption(cipher, seals=False)))
    assert (await bodies(sealing, clear))[0].startswith(ZIP)
    sealed = await made(cas, sealing.services.profiles.exports)
    before = await bodies(sealing, sealed)
    await downloaded(bob)
    assert await sealing.services.profiles.exports.make_again(100) == 1
    assert (await bob.get("/users/me/export")).json()["state"] == "waiting"
    assert await bodies(sealing, clear) == []
    exports = sealing.services.profiles.exports
    await run_due(sealing.pool, ExportUsers(exports, partial(user_data, sealing.pool, None), sealing.services.now_ms))
    assert not any(ZIP in body for body in await bodies(sealing, clear))
    await downloaded(bob)
    # One that was encrypted stays, and nothing is left to do.
    assert await bodies(sealing, sealed) == before
    assert await exports.make_again(100) == 0


async def test_a_rotation_encrypts_the_key_of_an_export_again_and_no_page(sealing: RestEngine, cipher: EnvelopeCipher):
    dan = await user(sealing, "dan_rotated")
    export, rows = await made(dan, sealing.services.profiles.exports), DataKeyRows(sealing.pool)
    pages, content, old = await bodies(sealing, export), await downloaded(dan), cipher.key_id
    await rows.add(cipher.new_data_key(1))
    cipher.install(await rows.all())
    async for _ in encrypt_again(sealing.pool, cipher):
        pass
    assert (await counts_by_key(sealing.pool))["exports"].keys() == {cipher.key_id} != {old}
    await rows.delete([old])
    cipher.install(await rows.all())
    assert await downloaded(dan) == content
    assert await bodies(sealing, export) == pages


async def test_a_page_decrypts_in_its_export_under_its_number_only(cipher: EnvelopeCipher):
    exports = ExportEncryption(cipher, seals=True)
    key_id, sealed, key = exports.new_key(1)
    page = key.seal(b"page", 0)
    assert exports.key_of(1, key_id, sealed).open(page, 0) == b"page"
    with pytest.raises(CannotDecrypt):
        key.open(page, 1)
    with pytest.raises(CannotDecrypt):
        exports.new_key(1)[2].open(page, 0)
    with pytest.raises(CannotDecrypt):
        exports.key_of(2, key_id, sealed)
