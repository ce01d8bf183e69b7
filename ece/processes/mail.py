"""Mail and push messages: the jobs of a worker."""

from collections.abc import Callable
from email.utils import parseaddr

from actors.workers.job import Job
from actors.workers.mail.account_mails import SendMail
from actors.workers.mail.mailbox import Mailbox
from actors.workers.mail.notification_mails import MailNotifications
from actors.workers.mail.sending import MailboxSender, Sends, SmtpSender, SmtpServer
from actors.workers.push.notifications import PushNotifications
from actors.workers.push.sending import PushSender
from ece.data_dir import DataDir
from ece.settings import Settings, revealed
from gateway.identity.emails import EmailEncryption
from persistence.identity.mail_addresses import MailAddresses
from persistence.identity.mail_tokens import MailTokens, TokenMaker
from persistence.identity.store import UserStore
from persistence.jobs.store import JobStore
from persistence.notifications.mails import NotificationMails
from persistence.postgres.pool import Pool
from persistence.push.digests import NotificationPushes
from persistence.push.subscriptions import PushSubscriptions
from persistence.push.vapid import VapidKey


def mail_sender(settings: Settings, now_ms: Callable[[], int]) -> Sends:
    """By SMTP where a server is set, else into the mailbox."""
    if settings.smtp_host is None:
        return MailboxSender(Mailbox(DataDir(settings.data_dir).mail), settings.mail_from, now_ms)
    password = None if settings.smtp_password is None else settings.smtp_password.get_secret_value()
    server = SmtpServer(settings.smtp_host, settings.smtp_port, settings.smtp_security, settings.smtp_user, password)
    return SmtpSender(server, settings.mail_from, now_ms)


def mail_jobs(settings: Settings, pool: Pool, emails: EmailEncryption | None, now_ms: Callable[[], int]) -> list[Job]:
    """Those that send mail."""
    sender, maker, jobs, site = mail_sender(settings, now_ms), token_maker(settings), JobStore(pool), settings.site_url
    return [
        SendMail(
            UserStore(pool, emails),
            MailAddresses(pool, emails),
            MailTokens(pool, emails),
            jobs,
            maker,
            sender,
            site,
            now_ms,
        ),
        MailNotifications(NotificationMails(pool, emails), jobs, maker, sender, site, now_ms),
    ]


def token_maker(settings: Settings) -> TokenMaker:
    """The same in gateways and workers."""
    return TokenMaker(revealed(settings.mail_secret))


def push_job(settings: Settings, pool: Pool, now_ms: Callable[[], int]) -> PushNotifications:
    """The job that sends push messages."""
    contact = f"mailto:{parseaddr(settings.mail_from)[1]}"
    sender = PushSender(_vapid_key(settings), contact, settings.push_origins, now_ms)
    return PushNotifications(NotificationPushes(pool), PushSubscriptions(pool), JobStore(pool), sender, now_ms)


def _vapid_key(settings: Settings) -> VapidKey:
    return VapidKey(revealed(settings.mail_secret))
