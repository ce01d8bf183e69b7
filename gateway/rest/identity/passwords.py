"""Changing and resetting passwords."""

from fastapi import Request
from starlette.responses import Response

from domain.users import email_key
from gateway.http.problems import Problem
from gateway.rest.callers import PUBLIC, Caller, FreshSecondFactor
from gateway.rest.identity.attempts import Mailings, attempts_by_address
from gateway.rest.identity.bodies import (
    AddressBody,
    AnyPassword,
    Body,
    MailToken,
    NewPassword,
    address_of,
    check_new_password,
)
from gateway.rest.proofs import ProofsDep
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from persistence.identity.mail_jobs import RESET


class PasswordChange(Body):
    """The password until now, and the new one. ``keep_api_keys``: bots go on; without it, API keys are revoked."""

    current_password: AnyPassword
    new_password: NewPassword
    keep_api_keys: bool = False


class PasswordReset(Body):
    """``token`` is from the mail, good once and for 10 minutes."""

    token: MailToken
    new_password: NewPassword


class PasswordRoutes:
    """The routes of one app, with its counts of attempts."""

    def __init__(self, services: Services) -> None:
        self._by_address = attempts_by_address(services)
        self._mailings = Mailings(services)
        self.router = api_router("identity")
        add = self.router.add_api_route
        path = "/auth/password"
        add(path, self.change, methods=["POST"], status_code=204, summary="Change one's password")
        add(
            f"{path}/forgot",
            self.forgot,
            methods=["POST"],
            dependencies=[PUBLIC],
            status_code=202,
            response_class=Response,
            summary="Ask for a mail to reset it",
        )
        add(
            f"{path}/reset",
            self.reset,
            methods=["POST"],
            dependencies=[PUBLIC],
            status_code=204,
            summary="Reset it with the mail's token",
        )

    async def change(
        self,
        services: ServicesDep,
        proofs: ProofsDep,
        caller: Caller,
        _fresh: FreshSecondFactor,
        body: PasswordChange,
    ) -> None:
        """All other sessions end, API keys are revoked, and the user gets a mail."""
        user = await proofs.password(caller, body.current_password)
        assert user.password_hash is not None, "it matched"
        check_new_password(services, body.new_password, user.username, user.email)
        change = user.password_hash, await services.passwords.hash(body.new_password, str(caller.user_id))
        if not await services.accounts.passwords.change(
            user.user_id, change, services.now_ms(), caller.session, body.keep_api_keys
        ):
            raise Problem("forbidden", "your password was changed a moment ago")
        await services.refresh_tokens.end_all(user.user_id, caller.session)

    async def forgot(self, request: Request, services: ServicesDep, body: AddressBody) -> Response:
        """The same answer for all addresses: nothing is looked up before the mail is sent."""
        address = email_key(body.email)
        await self._mailings.attempt(request, address)
        await services.accounts.mail_addresses.order(RESET, address)
        return Response(status_code=202)

    async def reset(self, request: Request, services: ServicesDep, body: PasswordReset) -> None:
        """All sessions end, API keys are revoked, and the user gets a mail."""
        now_ms, address = services.now_ms(), address_of(request)
        await self._by_address.attempt(address, now_ms)
        tokens = services.accounts.mail_tokens
        user = await tokens.resetting(body.token, now_ms)
        check_new_password(services, body.new_password, user.username, user.email)
        hashed = await services.passwords.hash(body.new_password, address)
        user_id = await tokens.reset_password(body.token, hashed, services.now_ms())
        await services.refresh_tokens.end_all(user_id)
        await services.accounts.failures.forget(user_id)
