"""The second factor of log-ins: what every way that proves one factor goes through before `log_in`."""

import secrets

from domain.errors import SECOND_FACTOR_REQUIRED
from gateway.http.problems import Problem
from gateway.identity.second_factor import SecondFactorError
from gateway.rest.identity.log_ins import Tokens, log_in
from gateway.rest.services import Services
from persistence.audit.trail import Act
from persistence.identity.challenges import Challenge
from persistence.identity.store import User

PURPOSE = "second_factor"
CHALLENGE_MS = 300_000
TOKEN_BYTES = 32


async def log_in_with_factor(services: Services, user: User, code: str | None = None) -> Tokens:
    """Log in a user who has proved one factor.

    Who has a second factor needs a code: without one the problem `second_factor_required` has a `challenge`, so that
    the first factor need not be proved again. Raises SecondFactorError, TooManyAttempts for a wrong code.
    """
    return await log_in(services, user, with_factor=await _check(services, user.user_id, code))


async def answer_challenge(services: Services, token: str, code: str) -> Tokens:
    """Log in by a challenge and a code. A wrong code leaves the challenge good. Raises ChallengeExpired."""
    challenges, now_ms = services.ways_in.challenges, services.now_ms()
    challenge = await challenges.look_up(token, PURPOSE, now_ms)
    assert challenge.user is not None, "it was issued for a user"
    # The factor may have been disabled since: then the first one is enough, and no second one was shown.
    with_factor = await _check(services, challenge.user, code)
    # A new password ends the challenge, or else is another one than this user's.
    user = await services.users.by_id(challenge.user)
    await challenges.take(token, PURPOSE, now_ms)
    if user is None:
        raise Problem("unauthenticated", "this user does not exist any more")
    return await log_in(services, user, with_factor=with_factor)


async def _check(services: Services, user: int, code: str | None) -> bool:
    now_ms = services.now_ms()
    try:
        return await services.wallets.second_factor.check(user, code, now_ms)
    except SecondFactorError as error:
        if error.code != SECOND_FACTOR_REQUIRED:
            await services.audit.record(Act("login.second_factor_failed", user))
            raise
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await services.ways_in.challenges.issue(token, Challenge(PURPOSE, user, b"", now_ms + CHALLENGE_MS), now_ms)
    raise Problem(
        SECOND_FACTOR_REQUIRED, "send a code of your second factor to auth/second-factor/login", status=401,
        challenge=token, expires_in=CHALLENGE_MS // 1000,
    )  # fmt: skip
