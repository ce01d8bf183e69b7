"""Limits on what strangers may ask for: attempts by address, and mails by the address that they go to."""

from fastapi import Request

from gateway.limits.limiter import Attempts
from gateway.rest.identity.bodies import address_of
from gateway.rest.services import Services

# To one address, whoever asks: nobody's mailbox is flooded.
MAILS_PER_MINUTE, MAILS_BURST = 1, 3


def attempts_by_address(services: Services) -> Attempts:
    """Those of log-ins, registrations and tokens."""
    limits = services.limits
    return Attempts(
        services.limiter, "attempts",
        per_minute_max=limits.attempts_per_minute, burst=limits.attempts_burst, callers_max=limits.callers_max,
    )  # fmt: skip


class Mailings:
    """The mails that requests without a token may cause."""

    def __init__(self, services: Services) -> None:
        self._now_ms = services.now_ms
        self._by_address = attempts_by_address(services)
        self._by_recipient = Attempts(
            services.limiter, "mails",
            per_minute_max=MAILS_PER_MINUTE, burst=MAILS_BURST, callers_max=services.limits.callers_max,
        )  # fmt: skip

    async def attempt(self, request: Request, recipient: str) -> None:
        """Count a mail. Raises TooManyAttempts, for known and unknown recipients alike."""
        now_ms = self._now_ms()
        await self._by_address.attempt(address_of(request), now_ms)
        await self._by_recipient.attempt(recipient, now_ms)
