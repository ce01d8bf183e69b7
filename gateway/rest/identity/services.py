"""The services of the routes about accounts: passwords, mails, verification."""

from dataclasses import dataclass, field

from gateway.identity.log_in_failures import LogInFailures
from persistence.identity.mail_addresses import MailAddresses
from persistence.identity.mail_tokens import MailTokens, TokenMaker
from persistence.identity.passwords import Passwords


@dataclass(frozen=True)
class AccountServices:
    """``verification_demanded``: a user without a verified address has the role UNVERIFIED. ``site_words``: names of
    this site, which no password may consist of."""

    passwords: Passwords
    mail_addresses: MailAddresses
    mail_tokens: MailTokens
    token_maker: TokenMaker
    failures: LogInFailures = field(default_factory=LogInFailures)
    verification_demanded: bool = False
    site_words: tuple[str, ...] = ("ece", "elitecardexchange")
