"""How long a mail is tried while no server takes it."""

from actors.workers.mail.account_mails import MAIL_RETRY

HOUR_MS = 3_600_000


def test_a_mail_outlives_an_outage_of_some_hours():
    for jitter, least, most in ((0.0, 4, 6), (0.5, 3, 4), (1.0, 2, 3)):
        tried_for = sum(MAIL_RETRY.delay_ms(attempts, jitter) for attempts in range(1, MAIL_RETRY.attempts_max))
        assert least * HOUR_MS < tried_for < most * HOUR_MS, jitter
