"""The mailbox on disk, and that nothing that users write becomes a header."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from actors.workers.mail.mailbox import Mailbox
from actors.workers.mail.message import LINE_LENGTH_MAX, Mail, mail_id, message_of
from actors.workers.mail.templates import LISTED_MAX, account_text, notification_text
from ece import cli
from ece.failure import Failure
from persistence.identity.mail_tokens import TokenMaker
from persistence.notifications.preferences import DEFAULTS

SENDER = "ECE <ece@cards.example>"


def mail(number: int, to: str = "ann@example.org", subject: str = "Hello") -> Mail:
    return Mail(mail_id(str(number)), to, subject, f"Text {number}: ü\n")


def test_the_newest_come_first_and_only_so_many_are_kept(tmp_path: Path):
    box = Mailbox(tmp_path / "mail", mails_max=3)
    for number in range(5):
        box.put(message_of(mail(number, "ann@example.org" if number % 2 else "bob@example.org"), SENDER, 0), number)
    assert [(one.at, one.to, one.text) for one in box.newest()] == [
        (4, "bob@example.org", "Text 4: ü\n"), (3, "ann@example.org", "Text 3: ü\n"),
        (2, "bob@example.org", "Text 2: ü\n"),
    ]  # fmt: skip
    assert [one.at for one in box.newest("ANN@example.org")] == [3]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "mail").iterdir()} == {0o600}


def test_a_mail_that_is_sent_again_is_there_once(tmp_path: Path):
    box = Mailbox(tmp_path / "mail")
    for at_ms in (1, 2):
        box.put(message_of(mail(1), SENDER, at_ms), at_ms)
    assert [one.at for one in box.newest()] == [1]


def test_without_a_mail_the_mailbox_is_empty(tmp_path: Path):
    assert list(Mailbox(tmp_path / "none").newest()) == []


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85"])
def test_nothing_adds_a_header(break_: str):
    message = message_of(mail(1, subject=f"Hello{break_}Bcc: eve@example.org{break_}{break_}Text"), SENDER, 0)
    head, _, _ = message.as_bytes().partition(b"\r\n\r\n")
    assert not any(line.lower().startswith(b"bcc") for line in head.splitlines())
    assert "Bcc: eve@example.org" in str(message["Subject"])
    assert message["Bcc"] is None


def test_an_address_with_a_line_end_is_no_address():
    with pytest.raises(ValueError, match=r"[Hh]eader"):
        message_of(mail(1, to="ann@example.org\r\nBcc: eve@example.org"), SENDER, 0).as_bytes()


def test_long_subjects_are_cut_and_other_scripts_are_encoded():
    message = message_of(mail(1, subject="リザードン" * 100), SENDER, 0)
    assert len(str(message["Subject"])) == LINE_LENGTH_MAX
    assert message.as_bytes().partition(b"\r\n\r\n")[0].isascii()


@pytest.mark.parametrize("kind", sorted(DEFAULTS))
def test_every_kind_of_notification_has_a_text(kind: str):
    subject, text = notification_text(kind, [{"auction": {"title": "{site}"}}] * 30, 40, "ann", "https://cards.example")
    assert "News" not in subject or kind == "swap"
    assert subject.endswith(", and 39 more")
    assert text.count("\n  - ") == LISTED_MAX + 1


def test_what_users_write_is_no_format():
    subject, _ = notification_text("outbid", [{"auction": {"title": "{name.__class__}"}}], 1, "{token}", "s")
    assert subject == "You were outbid: {name.__class__}"
    assert "{site}" in account_text("verify", "{site}", "https://cards.example", "t")[1]


def test_tokens_follow_from_the_secret_and_from_all_that_they_are_for():
    maker = TokenMaker("s" * 32)
    tokens = {
        maker.token("verify", "n", 1), maker.token("reset", "n", 1), maker.token("verify", "m", 1),
        maker.token("verify", "n", 2), TokenMaker("t" * 32).token("verify", "n", 1),
    }  # fmt: skip
    assert len(tokens) == 5
    assert maker.token("verify", "n", 1) == TokenMaker("s" * 32).token("verify", "n", 1)


@pytest.mark.parametrize("changed", ["", "x", "..", "0000000000001.outbid.", "0000000000001.outbid.ä", "\0.outbid.x"])
def test_only_its_own_unsubscribe_token_is_one(changed: str):
    maker = TokenMaker("s" * 32)
    assert maker.unsubscribing(maker.unsubscribe_token(1, "outbid")) == (1, "outbid")
    assert maker.unsubscribing(maker.unsubscribe_token(1, "outbid") + "x") is None
    assert maker.unsubscribing(changed) is None


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["mail", *arguments], env={"COLUMNS": "80"})


def test_the_command_lists_and_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ECE_DATA_DIR", str(tmp_path))
    assert "has no mail" in " ".join(run().stdout.split())
    assert isinstance(run("show").exception, Failure)
    box = Mailbox(tmp_path / "mail")
    for number, to in enumerate(("ann@example.org", "bob@example.org", "ann@example.org")):
        box.put(message_of(mail(number, to, f"Subject {number}"), SENDER, 0), 1_795_393_927_000 + number)
    listed = run().stdout
    assert listed.index("Subject 2") < listed.index("Subject 1") < listed.index("Subject 0")
    assert "Subject 1" not in run("--to", "ann@example.org").stdout
    assert "Text 0: ü" in run("show", "2", "--to", "ann@example.org").stdout
    found = json.loads(run("--json", "--limit", "1").stdout)["mails"]
    assert [(one["subject"], one["to"]) for one in found] == [("Subject 2", "ann@example.org")]
    assert json.loads(run("show", "--json").stdout)["text"] == "Text 2: ü\n"
    assert "Begin with: scripts/ece mail" in run("--help").stdout
