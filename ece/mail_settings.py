"""The settings of e-mail and of what it verifies: a part of `ece/settings.py`."""

from typing import Literal

from pydantic import SecretStr

from ece.setting_fields import Group, setting

# Their documentation names these.
PUSH_SERVICES = (
    "https://fcm.googleapis.com", "https://updates.push.services.mozilla.com", "https://*.push.apple.com",
    "https://*.notify.windows.com",
)  # fmt: skip


class Mail(Group):
    """E-mail and push messages"""

    smtp_host: str | None = setting(
        None, "SMTP server that takes mail; without one mail goes to the mailbox that `ece mail` shows",
        by_default="mailbox",
    )  # fmt: skip
    smtp_port: int = setting(587, "its port", ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = setting(
        "starttls", "`starttls` (required), `tls` (from the first byte) or `none` (a server on this machine)"
    )
    smtp_user: str | None = setting(None, "user of the SMTP server", by_default="none")
    smtp_password: SecretStr | None = setting(None, "password of that user", by_default="none")
    mail_from: str = setting("ECE <ece@localhost>", "sender of all mails", max_length=200)
    mail_secret: SecretStr | None = setting(
        None,
        "secret that the tokens in mails and the key of push messages are made from; 32 characters or more",
        by_default="`secrets/mail`",
        min_length=32,
    )
    push_services: str | None = setting(
        None,
        "origins of the push services that browsers may name, separated by commas; `*.` stands for all names below",
        by_default="those of Chrome, Edge, Firefox and Safari",
    )
    verification: Literal["off", "before_money"] = setting(
        "off",
        "`before_money`: without a verified address users can log in and look, and change nothing but their account; "
        "`off`: verification is offered",
    )
