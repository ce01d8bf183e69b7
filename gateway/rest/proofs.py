"""Who does what a thief of a session would like to do proves again who they are: one question for all such routes."""

from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict

from domain.errors import SECOND_FACTOR_OFF
from domain.wallets.second_factor import FRESH_MS
from gateway.http.client import CLIENT
from gateway.http.problems import Problem
from gateway.identity.attempts import caller_of
from gateway.identity.log_in_failures import Attempt
from gateway.identity.second_factor import SecondFactorError
from gateway.identity.tokens import Identity
from gateway.limits.limiter import Attempts
from gateway.rest.identity.bodies import AnyPassword, Code
from gateway.rest.identity.password_log_ins import PASSWORD_WRONG, record_failure
from gateway.rest.services import Services
from persistence.identity.store import User


class Proof(BaseModel):
    """``code`` for users with a second factor, else ``password``; neither is needed within five minutes of the last."""

    model_config = ConfigDict(strict=True, extra="forbid")

    password: AnyPassword | None = None
    code: Code | None = None


class Proofs:
    """Those of one app, with its count of attempts."""

    def __init__(self, services: Services) -> None:
        self._services = services
        limits = services.limits
        self._attempts = Attempts(
            services.limiter, "passwords",
            per_minute_max=limits.logins_per_minute, burst=limits.logins_burst, callers_max=limits.callers_max,
        )  # fmt: skip

    async def second_factor(self, caller: Identity, code: str | None) -> bool:
        """Who has a second factor showed it within five minutes, or does so now; False for users without one.

        Raises SecondFactorError, TooManyAttempts.
        """
        return await self._services.wallets.second_factor.check_fresh(caller, code, self._services.now_ms())

    async def operator(self, caller: Identity, code: str | None) -> None:
        """What moderators and admins do, where the setting demands a second factor. Raises as ``second_factor`` does.

        The owner of an API key has to have one.
        """
        if not self._services.limits.operators_prove:
            return
        if caller.key is None:
            shown = await self.second_factor(caller, code)
        else:
            shown = (await self._services.wallets.second_factor.state(caller.user_id)).state == "on"
        if not shown:
            raise SecondFactorError(SECOND_FACTOR_OFF, "operators need a second factor here: enrol one first")

    async def ask(self, caller: Identity, proof: Proof) -> None:
        """The second factor; of users without one the password. The session need not show it for five minutes.

        Of users who have neither, the log-in of this session counts. Raises as ``second_factor`` and ``password`` do.
        """
        if await self.second_factor(caller, proof.code):
            return
        log_ins, now_ms = self._services.refresh_tokens, self._services.now_ms()
        if await log_ins.proved_since(caller.session, caller.user_id, now_ms - FRESH_MS):
            return
        if proof.password is None:
            raise Problem("forbidden", "prove who you are: send your password to auth/second-factor/verify, or log in")
        await self.password(caller, proof.password)
        await log_ins.prove(caller.session, caller.user_id, now_ms)

    async def password(self, caller: Identity, password: str) -> User:
        """The caller, whose password this is. Raises TooManyAttempts, or the problem `forbidden`."""
        services, now_ms, key = self._services, self._services.now_ms(), str(caller.user_id)
        await self._attempts.attempt(key, now_ms)
        attempt, failures = _attempt(caller), services.accounts.failures
        async with failures.admitted(attempt, now_ms):
            user = await services.users.by_id(caller.user_id)
            stored = None if user is None else user.password_hash
            if not await services.passwords.matches(password, stored, key) or user is None:
                await record_failure(services, user, await failures.failed(attempt, now_ms), PASSWORD_WRONG)
                raise Problem("forbidden", "this is not your password")
            await failures.succeeded(attempt)
        return user


def _attempt(caller: Identity) -> Attempt:
    """Failures within sessions are counted by the user's id, which nobody can type at a log-in."""
    return Attempt(f"\n{caller.user_id}", caller_of(CLIENT.get().address), caller.user_id)


async def proofs_of(request: Request) -> Proofs:
    """Those of the app that a request came to."""
    proofs: Proofs = request.app.state.proofs
    return proofs


ProofsDep = Annotated[Proofs, Depends(proofs_of)]
