"""Notifications come by e-mail where that is on and the address is verified, gathered, until one click ends it."""

import asyncio
import email
import re
from collections.abc import AsyncIterator
from email.message import Message
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from actors.workers.mail.message import Mail
from actors.workers.mail.sending import SmtpSender, SmtpServer
from actors.workers.notify import NotifyOutbid
from persistence.jobs.rows import JobRow
from persistence.jobs.store import JobStore
from persistence.notifications.mails import PACE_MS, NotificationMails
from persistence.notifications.outbid import OutbidAlerts
from persistence.notifications.preferences import Channels
from tests.rest.mail.mailing import SENDER, Post, access_token, register
from tests.rest.rest_engine import USD, Person, RestEngine

# The server of these tests takes passwords without TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")


async def member(engine: RestEngine, name: str, *, verified: bool = True) -> int:
    await register(engine, name)
    user = await engine.services.users.by_login(name)
    assert user is not None
    if verified:
        await engine.pool.execute("UPDATE users SET verified_at = 1 WHERE user_id = $1", user.user_id)
    return user.user_id


async def notify(engine: RestEngine, user: int, kind: str, about: str, title: str = "Charizard") -> None:
    data = '{"auction": {"id": "1", "title": "%s"}, "by": "bob"}' % title  # noqa: UP031
    now = engine.services.now_ms()
    await engine.pool.execute("SELECT notify_user($1, $2, $3, $4::text::jsonb, $5)", user, kind, about, data, now)


async def passes(engine: RestEngine, time_ms: int) -> None:
    """As if this time had passed since the last mail, and since jobs were put off."""
    await engine.pool.execute("UPDATE jobs SET run_at = 0 WHERE kind = 'mail_notifications'")
    await engine.pool.execute("UPDATE mail_digests SET sent_at = sent_at - $1", time_ms)


async def subjects(post: Post, name: str) -> list[str]:
    """Those of notifications, the newest first."""
    return [mail.subject for mail in await post.mails(f"{name}@example.org") if "verify" not in mail.subject.lower()]


async def test_a_notification_is_mailed_at_once_and_the_next_ones_together(engine: RestEngine, post: Post):
    user = await member(engine, "ann")
    await notify(engine, user, "auction_won", "won 1", "Pikachu")
    assert await subjects(post, "ann") == ["You have won: Pikachu"]
    for number in range(2, 5):
        await notify(engine, user, "auction_won", f"won {number}", f"Card {number}")
    await passes(engine, PACE_MS)
    newest, *others = await post.mails("ann@example.org")
    assert newest.subject == "You have won: Card 4, and 2 more"
    assert "Card 3" in newest.text
    assert "Pikachu" not in newest.text
    assert len([mail for mail in others if "won" in mail.subject]) == 1


async def test_until_the_pace_allows_it_nothing_is_mailed(engine: RestEngine, post: Post):
    user = await member(engine, "bea")
    await notify(engine, user, "auction_won", "won 1")
    await post.deliver()
    await notify(engine, user, "auction_won", "won 2")
    assert await subjects(post, "bea") == ["You have won: Charizard"]
    digest = await NotificationMails(engine.pool).due(user, "auction_won", engine.services.now_ms())
    assert digest is not None
    assert 0 < digest.wait_ms <= PACE_MS


async def test_no_mail_goes_where_it_is_off_or_not_verified_and_none_about_what_was_read(
    engine: RestEngine, post: Post
):
    off, unverified = await member(engine, "cas"), await member(engine, "dee", verified=False)
    await engine.services.profiles.notifications.put(off, "auction_won", in_app=True, email=False)
    for user in (off, unverified):
        await notify(engine, user, "auction_won", "won 1")
    # In the app only, unless the user says otherwise.
    await notify(engine, off, "deposit", "deposit 1")
    reader = await member(engine, "eva")
    await notify(engine, reader, "auction_won", "won 1")
    await engine.services.watching.notifications.read_up_to(reader, 1, engine.services.now_ms())
    assert [await subjects(post, name) for name in ("cas", "dee", "eva")] == [[], [], []]


async def test_one_click_ends_the_mails_of_a_kind_and_nothing_else(engine: RestEngine, post: Post):
    user = await member(engine, "flo")
    await notify(engine, user, "auction_won", "won 1")
    mail = (await post.mails("flo@example.org"))[0]
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = r"<https://cards\.example/api/v1(/notifications/unsubscribe\?token=\S+)>"
    found = re.fullmatch(link, mail.headers["List-Unsubscribe"])
    assert found is not None
    form = {"List-Unsubscribe": "One-Click"}
    for _ in range(2):
        assert (await engine.request("POST", found[1], data=form)).status_code == 204
    assert (await engine.services.profiles.notifications.of(user))["auction_won"] == Channels(True, False, True)
    forged = found[1].replace("auction_won", "outbid")
    assert (await engine.request("POST", forged, data=form)).status_code == 422
    assert (await engine.services.profiles.notifications.of(user))["outbid"].email


async def test_who_is_outbid_is_notified_and_mailed_and_who_leads_again_is_not(engine: RestEngine, post: Post):
    seller = await engine.person()
    people = []
    for name in ("gus", "hal"):
        await member(engine, name)
        people.append(Person(engine, "", name, await access_token(engine, name)))
    auction = await seller.open_auction(title="A rare\r\nBcc: x@example.org card", starting_price=USD)
    for amount, person, leader in ((2, people[0], "gus"), (9, people[1], "hal"), (5, people[0], "hal")):
        answer = await person.post(f"/auctions/{auction['id']}/bids", {"amount": amount * USD})
        assert answer.status_code == 201, answer.text
        await listed_leader(engine, leader)
    due = "UPDATE jobs SET run_at = 0 WHERE kind = 'notify_outbid'"
    await engine.pool.execute(due)
    jobs = JobStore(engine.pool)
    claimed = await jobs.claim({"notify_outbid": 10}, "test")
    assert len(claimed) == 1
    users = await NotifyOutbid(OutbidAlerts(engine.pool), engine.services.now_ms, lambda *_: None).run(claimed)
    assert users == []
    assert await subjects(post, "gus") == ["You were outbid: A rare Bcc: x@example.org card"]
    assert await subjects(post, "hal") == []
    assert "Bcc" not in (await post.mails("gus@example.org"))[0].headers


async def listed_leader(engine: RestEngine, name: str) -> None:
    """Hosts write summary rows some time after the events; this one does so now."""
    async with asyncio.timeout(20):
        while not await engine.pool.fetchval("SELECT true FROM auctions WHERE leader_name = $1", name):
            engine.host.maintain()
            await engine.host.records.flush()


# -- a real SMTP server


class Received:
    """What an SMTP server on loopback took. ``refusals``: so many mails are refused first."""

    def __init__(self) -> None:
        self.messages: list[tuple[Envelope, Message]] = []
        self.refusals = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        if self.refusals:
            self.refusals -= 1
            return f"451 <{envelope.rcpt_tos[0]}> try again later"
        assert isinstance(envelope.content, bytes)
        self.messages.append((envelope, email.message_from_bytes(envelope.content)))
        return "250 OK"


def _known(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"ece", b"secret"))


@pytest.fixture
async def smtp() -> AsyncIterator[tuple[Received, SmtpServer]]:
    received, connections = Received(), list[SMTP]()
    loop = asyncio.get_running_loop()

    def connected() -> SMTP:
        connections.append(SMTP(received, loop=loop, authenticator=_known, auth_required=True, auth_require_tls=False))
        return connections[-1]

    server = await loop.create_server(connected, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield received, SmtpServer("127.0.0.1", port, "none", "ece", "secret")
    finally:
        server.close()
        async with asyncio.timeout(10):
            while any(one.transport is not None for one in connections):  # noqa: ASYNC110  it sets no event
                await asyncio.sleep(0.005)


async def test_a_mail_reaches_an_smtp_server_with_its_headers(
    engine: RestEngine, tmp_path: Path, post: Post, smtp: tuple[Received, SmtpServer]
):
    received, server = smtp
    post.sender = SmtpSender(server, SENDER, engine.services.now_ms)
    await register(engine, "kim")
    await post.deliver()
    ((envelope, message),) = received.messages
    assert envelope.rcpt_tos == ["kim@example.org"]
    assert envelope.mail_from == "ece@cards.example"
    assert (message["From"], message["To"]) == (SENDER, "kim@example.org")
    assert message["Subject"] == "Verify your e-mail address"
    assert message["Auto-Submitted"] == "auto-generated"
    assert str(message["Message-ID"]).endswith("@cards.example>")


async def test_a_mail_that_was_refused_is_sent_again_as_the_same_one_and_those_before_it_are_not(
    engine: RestEngine, post: Post, smtp: tuple[Received, SmtpServer]
):
    received, server = smtp
    post.sender = SmtpSender(server, SENDER, engine.services.now_ms)
    await register(engine, "lea")
    received.refusals = 1
    with pytest.raises(aiosmtplib.SMTPException, match=r"451.*an address.*try again later") as refused:
        await post.deliver()
    # It is stored with the job, and logged.
    assert "lea" not in repr(refused.value)
    assert refused.value.__cause__ is None
    assert received.messages == []
    await post.deliver()
    assert [message["To"] for _, message in received.messages] == ["lea@example.org"]


async def test_a_server_that_does_not_do_tls_gets_no_password(smtp: tuple[Received, SmtpServer]):
    received, server = smtp
    careful = SmtpSender(SmtpServer(server.host, server.port, "starttls", "ece", "secret"), SENDER, lambda: 0)
    with pytest.raises(aiosmtplib.SMTPException):
        await careful.send(Mail("0" * 40, "ann@example.org", "Subject", "Text"))
    assert received.messages == []
    assert "secret" not in repr(server)


async def test_a_job_of_an_unknown_user_is_done_without_a_mail(engine: RestEngine, post: Post):
    await JobStore(engine.pool).add([JobRow("mail_notifications", "0000000000000:outbid")])
    await post.deliver()
    assert await JobStore(engine.pool).get("mail_notifications", "0000000000000:outbid") is None
