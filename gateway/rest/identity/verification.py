"""Verifying and changing e-mail addresses."""

from fastapi import Request
from starlette.responses import Response

from domain.users import email_key
from gateway.rest.callers import PUBLIC, Caller, FreshSecondFactor
from gateway.rest.identity.attempts import Mailings, attempts_by_address
from gateway.rest.identity.bodies import AddressBody, AnyPassword, Body, Email, MailToken, address_of
from gateway.rest.proofs import ProofsDep
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from persistence.identity.mail_jobs import VERIFY


class Verification(Body):
    """``token`` is from the mail, good once and for 24 hours."""

    token: MailToken


class NewAddress(Body):
    """The new address, and the password again: a stolen access token alone can't change it."""

    email: Email
    password: AnyPassword


class AddressRoutes:
    """The routes of one app, with its counts of attempts."""

    def __init__(self, services: Services) -> None:
        self._by_address = attempts_by_address(services)
        self._mailings = Mailings(services)
        self.router = api_router("identity")
        add = self.router.add_api_route
        add(
            "/auth/verify",
            self.verify,
            methods=["POST"],
            dependencies=[PUBLIC],
            status_code=204,
            summary="Verify an e-mail address",
        )
        add(
            "/auth/verify/resend",
            self.resend,
            methods=["POST"],
            dependencies=[PUBLIC],
            status_code=202,
            response_class=Response,
            summary="Ask for another such mail",
        )
        add(
            "/users/me/email",
            self.change,
            methods=["PUT"],
            status_code=202,
            response_class=Response,
            summary="Change one's e-mail address",
        )

    async def verify(self, request: Request, services: ServicesDep, body: Verification) -> None:
        """With the token of a mail: that of a registration, or that of a change of address."""
        now_ms = services.now_ms()
        await self._by_address.attempt(address_of(request), now_ms)
        await services.accounts.mail_tokens.confirm_address(body.token, now_ms)

    async def resend(self, request: Request, services: ServicesDep, body: AddressBody) -> Response:
        """The same answer for all addresses: nothing is looked up before the mail is sent."""
        address = email_key(body.email)
        await self._mailings.attempt(request, address)
        await services.accounts.mail_addresses.order(VERIFY, address)
        return Response(status_code=202)

    async def change(
        self,
        request: Request,
        services: ServicesDep,
        proofs: ProofsDep,
        caller: Caller,
        _fresh: FreshSecondFactor,
        body: NewAddress,
    ) -> Response:
        """A mail to the new address has a token for `POST /auth/verify`; then the old address is told."""
        await self._mailings.attempt(request, email_key(body.email))
        await proofs.password(caller, body.password)
        await services.accounts.passwords.ask_for_address(caller.user_id, body.email)
        return Response(status_code=202)
