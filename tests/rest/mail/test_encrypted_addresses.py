"""With encryption on, no table has the address of a user or of a mail, whatever mail is under way."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.data_keys import DataKeys
from chain.wallets.envelope import EnvelopeCipher
from ece.key_rotation import counts_by_key, encrypt_again
from gateway.identity.emails import EmailEncryption
from persistence.accounts.collecting import user_data
from persistence.accounts.deletions import DELETE_USER, Deletions
from persistence.identity.emails import OF_IDENTITIES, OF_MAILS, OF_USERS, EmailForms
from persistence.identity.identities import Claim, Identities
from persistence.identity.mail_addresses import MailAddresses
from persistence.identity.mail_jobs import LOCKED_OUT, mail_to_user
from persistence.identity.mail_tokens import VERIFY_TTL_MS, MailTokens
from persistence.identity.store import UserStore
from persistence.jobs.rows import JobRow
from persistence.keys.data_keys import DataKeyRows
from persistence.postgres.pool import Pool, close_pool, open_pool
from tests.rest.mail.mailing import access_token, log_in, post_of
from tests.rest.rest_engine import PASSWORD, SECRET, RestEngine, rest_engine

# Of the characters that a text, JSON or bytes in hexadecimal digits may hold.
COLUMNS = """
    SELECT table_name, column_name, udt_name FROM information_schema.columns JOIN information_schema.tables
        USING (table_schema, table_name)
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
        AND udt_name IN ('text', '_text', 'varchar', 'json', 'jsonb', 'bytea', '_bytea')
"""


async def places_with(pool: Pool, word: str) -> set[str]:
    """The columns of all tables in whose rows this word stands, in any case: as text, or as bytes of it."""
    found = set()
    for table, column, kind in await pool.fetch(COLUMNS):
        text = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
        hexed = word.encode().hex()
        query = f"SELECT true FROM {table} WHERE {text} ILIKE $1 OR {column}::text ILIKE $2 LIMIT 1"
        if await pool.fetchval(query, f"%{word}%", f"%{hexed}%"):
            found.add(f"{table}.{column}")
    return found


@pytest.fixture
async def emails(database_url: str) -> AsyncIterator[EmailEncryption]:
    pool = await open_pool(database_url, size_max=2)
    keys = DataKeys(DataKeyRows(pool), EnvelopeCipher(lambda: [SECRET], lambda: 1_800_000_000_000), lambda: 0)
    await keys.open()
    yield EmailEncryption(keys.cipher, seals=True)
    await close_pool(pool)


@pytest.fixture
async def sealing(database_url: str, emails: EmailEncryption) -> AsyncIterator[RestEngine]:
    async with rest_engine(database_url, emails=emails) as engine:
        yield engine


HIDDEN = "hidden.example"
OLD, NEW = f"ann@{HIDDEN}", f"ann-new@{HIDDEN}"


async def joins(engine: RestEngine, address: str, name: str) -> int:
    body = {"email": address, "username": name, "password": PASSWORD}
    assert (await engine.request("POST", "/auth/register", json=body)).status_code == 201
    user = await engine.services.users.by_login(name)
    assert user is not None
    return user.user_id


async def asks_for(engine: RestEngine, login: str, address: str) -> None:
    """For another address."""
    token = await access_token(engine, login)
    body = {"email": address, "password": PASSWORD}
    assert (await engine.request("PUT", "/users/me/email", json=body, token=token)).status_code == 202


def claimed(address: str | None, subject: str = "s") -> Claim:
    return Claim("oidc", "https://id.example", subject, "own", address, address is not None)


async def orders(engine: RestEngine, path: str, *addresses: str) -> None:
    for address in addresses:
        assert (await engine.request("POST", path, json={"email": address})).status_code == 202


async def uses(engine: RestEngine, path: str, token: str, **fields: str) -> None:
    assert (await engine.request("POST", path, json={"token": token, **fields})).status_code == 204


async def test_no_table_has_an_address_at_any_point_of_a_tour_of_all_mails(
    sealing: RestEngine, emails: EmailEncryption, tmp_path: Path
):
    post, stranger = post_of(sealing, tmp_path, emails), f"stranger@{HIDDEN}"

    async def nothing_is_clear() -> None:
        for word in (HIDDEN, "ann-new@", "stranger@"):
            assert await places_with(sealing.pool, word) == set()

    user = await joins(sealing, OLD.title(), "ann")
    await nothing_is_clear()
    await orders(sealing, "/auth/verify/resend", OLD.upper(), stranger)
    await nothing_is_clear()
    await uses(sealing, "/auth/verify", await post.token(OLD))
    await orders(sealing, "/auth/password/forgot", OLD, stranger)
    await nothing_is_clear()
    token = await post.token(OLD)
    await nothing_is_clear()
    await uses(sealing, "/auth/password/reset", token, new_password=PASSWORD)
    await asks_for(sealing, "ann", NEW)
    await nothing_is_clear()
    token = await post.token(NEW)
    await nothing_is_clear()
    await uses(sealing, "/auth/verify", token)
    await nothing_is_clear()
    await sealing.services.jobs.add([mail_to_user(LOCKED_OUT, user)])
    data = '{"auction": {"id": "1", "title": "Charizard"}}'
    await sealing.pool.execute("SELECT notify_user($1, 'auction_won', '1', $2::text::jsonb, 1)", user, data)
    await sealing.pool.execute("UPDATE notifications SET at = $1", sealing.services.now_ms())
    to_old = [mail.subject for mail in await post.mails(OLD)]
    to_new = [mail.subject for mail in await post.mails(NEW)]
    # That of the registration and the one that was asked for are both there.
    assert sorted(to_old) == [
        "Reset your password", "Verify your e-mail address", "Verify your e-mail address",
        "Your e-mail address was changed", "Your password was changed",
    ]  # fmt: skip
    assert sorted(to_new) == [
        "Verify your new e-mail address",
        "Wrong passwords for your account",
        "You have won: Charizard",
    ]
    assert await post.mails(stranger) == []
    await nothing_is_clear()


async def test_the_search_finds_an_address_that_is_in_clear(engine: RestEngine):
    await joins(engine, "eve@seen.example", "eve")
    await orders(engine, "/auth/password/forgot", "eve@seen.example")
    assert await places_with(engine.pool, "seen.example") == {
        "users.email", "users.email_key", "mail_addresses.email", "mail_addresses.email_key",
    }  # fmt: skip
    await engine.services.jobs.add([JobRow("other", "x", b'{"a": "eve@job.example"}')])
    assert await places_with(engine.pool, "job.example") == {"jobs.payload"}


async def test_addresses_go_when_neither_a_job_nor_a_token_needs_them(
    sealing: RestEngine, emails: EmailEncryption, tmp_path: Path
):
    post, addresses = post_of(sealing, tmp_path, emails), MailAddresses(sealing.pool, emails)

    async def kept() -> int:
        await addresses.forget_unneeded(age_min_ms=-60_000)
        return int(await sealing.pool.fetchval("SELECT count(*) FROM mail_addresses"))

    await post.deliver()
    before = await kept()
    await joins(sealing, f"bea@{HIDDEN}", "bea")
    await orders(sealing, "/auth/password/forgot", f"bea@{HIDDEN}", f"nobody-knows@{HIDDEN}")
    # The mail of the registration goes to the user's own address, and so does not need one yet.
    assert await kept() == before + 2
    await post.deliver()
    # Two tokens.
    assert await kept() == before + 2
    await MailTokens(sealing.pool).forget_expired(sealing.services.now_ms() + VERIFY_TTL_MS + 1)
    assert await kept() == 0
    await orders(sealing, "/auth/verify/resend", f"bea@{HIDDEN}")
    await addresses.forget_unneeded()
    await sealing.pool.execute("DELETE FROM jobs WHERE kind = 'mail'")
    # Its job may be under way.
    await addresses.forget_unneeded()
    assert await sealing.pool.fetchval("SELECT count(*) FROM mail_addresses") == 1


async def test_a_rotation_encrypts_the_addresses_of_mails_again(
    sealing: RestEngine, emails: EmailEncryption, tmp_path: Path
):
    post, rows = post_of(sealing, tmp_path, emails), DataKeyRows(sealing.pool)
    cipher = emails.cipher
    await joins(sealing, f"cas@{HIDDEN}", "cas")
    await asks_for(sealing, "cas", f"cas-new@{HIDDEN}")
    await post.deliver()
    old = cipher.key_id
    await rows.add(cipher.new_data_key(1))
    cipher.install(await rows.all())
    async for _ in encrypt_again(sealing.pool, cipher):
        pass
    assert set((await counts_by_key(sealing.pool))["addresses of mails"]) == {cipher.key_id} != {old}
    await uses(sealing, "/auth/verify", await post.token(f"cas-new@{HIDDEN}"))
    assert (await log_in(sealing, f"cas-new@{HIDDEN}")).status_code == 200


async def test_switching_encryption_on_seals_mails_under_way_and_their_tokens_stay_good(
    engine: RestEngine, emails: EmailEncryption, tmp_path: Path
):
    clear, sealed = post_of(engine, tmp_path), post_of(engine, tmp_path, emails)
    await joins(engine, "dee@switched.example", "dee")
    await asks_for(engine, "dee", "dee-new@switched.example")
    token = await clear.token("dee-new@switched.example")
    await orders(engine, "/auth/password/forgot", "dee@switched.example")
    for where in (OF_USERS, OF_MAILS):
        await EmailForms(engine.pool, emails, where).change_page(where.first_row, 1_000)
    assert await places_with(engine.pool, "switched.example") == set()
    reset = await sealed.token("dee@switched.example")
    await MailTokens(engine.pool, emails).confirm_address(token, engine.services.now_ms())
    user = await UserStore(engine.pool, emails).by_login("dee-new@switched.example")
    assert user is not None
    assert await MailTokens(engine.pool, emails).resetting(reset, engine.services.now_ms()) == user


async def test_an_export_has_the_new_address_that_is_not_confirmed_and_a_deletion_removes_it(
    sealing: RestEngine, emails: EmailEncryption, tmp_path: Path
):
    user = await joins(sealing, f"fay@{HIDDEN}", "fay")
    await asks_for(sealing, "fay", f"fay-new@{HIDDEN}")
    await post_of(sealing, tmp_path, emails).deliver()
    async with user_data(sealing.pool, emails, user) as data:
        rows = [row async for row in data.rows("mail_addresses")]
    assert {row["email"] for row in rows} == {f"fay@{HIDDEN}", f"fay-new@{HIDDEN}"}
    assert all(row.keys() == {"user_id", "email", "added_at"} for row in rows)
    due = await Deletions(sealing.pool).request(user, 0, 0)
    claimed = await sealing.services.jobs.claim({DELETE_USER: 1}, "test")
    assert await Deletions(sealing.pool).carry_out(claimed[0], due.due_at) == 0
    assert not await sealing.pool.fetchval("SELECT true FROM mail_addresses WHERE user_id = $1", user)


async def test_the_address_that_a_provider_gave_is_encrypted_like_that_of_the_user(
    sealing: RestEngine, emails: EmailEncryption
):
    pool, users = sealing.pool, UserStore(sealing.pool, emails)
    identities, claim = Identities(pool, users, emails), claimed(f"Gil@{HIDDEN}")
    gil = (await identities.register(claim, "gil", f"gil@{HIDDEN}", 1)).user_id
    assert [one.claim for one in await identities.of(gil)] == [claim]
    # The provider names another one at the next log-in, then none.
    for changed in (
        claimed("\N{SNOWMAN}, which is no address by our rules"),
        claimed(f"gil-2@{HIDDEN}"),
        claimed(None),
    ):
        assert (await identities.log_in(changed, 2)) is not None
        assert [one.claim for one in await identities.of(gil)] == [changed]
        async with user_data(pool, emails, gil) as data:
            assert [row["email"] async for row in data.rows("identities")] == [changed.email]
        for word in (HIDDEN, "snowman", "\N{SNOWMAN}"):
            assert await places_with(pool, word) == set()


async def test_addresses_of_identities_are_switched_and_rotated_with_those_of_users(
    sealing: RestEngine, emails: EmailEncryption
):
    pool, rows, cipher = sealing.pool, DataKeyRows(sealing.pool), emails.cipher
    clear, odd = Identities(pool, UserStore(pool)), "no address@switched.example, by our rules"
    hal = (await clear.register(claimed("Hal@switched.example", "1"), "hal", "hal@other.example", 1)).user_id
    await clear.link(hal, claimed(odd, "2"), 1)
    assert await places_with(pool, "switched.example") == {"identities.email", "identities.email_key"}
    await EmailForms(pool, emails, OF_IDENTITIES).change_page(0, 1_000)
    assert await places_with(pool, "switched.example") == set()
    old = cipher.key_id
    await rows.add(cipher.new_data_key(2))
    cipher.install(await rows.all())
    async for _ in encrypt_again(pool, cipher):
        pass
    assert (await counts_by_key(pool))["addresses of identities"].keys() == {cipher.key_id} != {old}
    shown = [one.claim.email for one in await Identities(pool, UserStore(pool, emails), emails).of(hal)]
    assert shown == ["Hal@switched.example", odd]
    back = EmailEncryption(cipher, seals=False)
    await EmailForms(pool, back, OF_IDENTITIES).change_page(0, 1_000)
    assert [one.claim.email for one in await clear.of(hal)] == shown
