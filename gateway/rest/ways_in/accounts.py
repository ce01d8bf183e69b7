"""From a claim that was proved to a log-in: of the user who has it, or of a new one."""

import secrets
from contextlib import suppress

from domain.errors import EMAIL_TAKEN
from domain.users import NO_ADDRESS, RESERVED_DOMAIN, email_address
from gateway.http.problems import Problem
from gateway.rest.services import Services
from persistence.identity.identities import Claim, IdentityTaken, Spent
from persistence.identity.store import EmailTaken, User, UsernameTaken

NAME_BYTES = 5
TRIES = 3


async def user_of(services: Services, claim: Claim, username: str | None, spent: Spent | None = None) -> User:
    """The user who has this identity, or a new one. Raises UsernameTaken, ChallengeExpired.

    An account with the same e-mail address is not linked, whatever the provider says: whoever has it logs in there,
    and links. Otherwise a provider, or somebody who once had the address, could take accounts over.
    """
    identities = services.ways_in.identities
    for attempt in range(TRIES):
        found = await identities.log_in(claim, services.now_ms(), spent)
        if found is not None:
            return found
        name = username or f"collector_{secrets.token_hex(NAME_BYTES)}"
        try:
            return await identities.register(claim, name, _email(claim), services.now_ms(), spent)
        except EmailTaken:
            raise Problem(EMAIL_TAKEN, "an account has this address: log in there, and link this identity") from None
        except UsernameTaken:
            if username is not None or attempt == TRIES - 1:
                raise
        except IdentityTaken:
            # Somebody registered with this identity at the same moment.
            if attempt == TRIES - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _email(claim: Claim) -> str:
    """The address that the provider has verified, or one that nobody has."""
    if claim.email is not None and claim.email_verified:
        with suppress(ValueError):
            address = email_address(claim.email)
            if not address.lower().endswith(RESERVED_DOMAIN):
                return address
    return f"{secrets.token_hex(16)}{NO_ADDRESS}"
