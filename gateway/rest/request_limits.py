"""Rate limits of REST: each request takes tokens by its cost, of its address and its account, in one call of Redis.

Addresses of trusted proxies and accounts with the permission ``unlimited`` have no limit.
"""

from starlette.requests import Request

from domain.errors import RATE_LIMITED
from domain.permissions import Permission
from domain.rate_limit import Ask, per_second
from gateway.http.address_limit import AddressLimit
from gateway.http.middleware import ADDED_HEADERS
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity, TokenError
from gateway.limits.leases import BIDS
from gateway.limits.limiter import headers_of
from gateway.rest.callers import IDENTITY
from gateway.rest.credentials import identity_of
from gateway.rest.identity.bodies import address_of
from gateway.rest.limits import Limits
from gateway.rest.services import Services

READ_COST, WRITE_COST = 1, 2
# Requests that are much more work than others, by the end of their paths.
COSTS = {
    "/auth/login": 10, "/auth/register": 10, "/auth/password": 10, "/auth/password/reset": 10,
    "/ledger/statement": 10, "/content": 10, "/users/me/export": 10,
    "/scans": 10,
}  # fmt: skip
# Requests that hash a password of somebody without a token.
HASHING = ("/auth/login", "/auth/register")


class Quotas:
    """The rates of one app."""

    def __init__(self, limits: Limits) -> None:
        self.addresses = AddressLimit(limits.requests_per_address_max, limits.trusted_proxies)
        self.address = per_second(limits.address_requests_per_s, limits.address_requests_burst)
        self.account = per_second(limits.account_requests_per_s, limits.account_requests_burst)
        self.bids = per_second(limits.account_bids_per_s, limits.account_bids_burst)


class RequestLimit:
    """The limit of one route."""

    def __init__(self, path: str, method: str) -> None:
        plain = READ_COST if method == "GET" else WRITE_COST
        self._cost = next((cost for end, cost in COSTS.items() if path.endswith(end)), plain)
        self._hashes = path.endswith(HASHING)
        # Commands for entities also take a token of those that the account's sockets share.
        self._commands = method == "POST" and (path.endswith(("/bids", "/buy-now")) or "/trades/{trade}/" in path)

    async def admit(self, request: Request) -> None:
        """Take the tokens; the answer gets headers about what is left. Raises the problem ``rate_limited``.

        Raises PasswordsBusy before anything else is done: thousands at once who log in cost little.
        """
        services: Services = request.app.state.services
        if self._hashes:
            services.passwords.check_room(address_of(request))
        asks = self._asks(request, await _identity(request, services))
        if not asks:
            return
        taken = await services.limiter.take(asks)
        request.scope[ADDED_HEADERS] = request.scope.get(ADDED_HEADERS, {}) | headers_of(asks, taken)
        retry_us = max(one.retry_us for one in taken)
        if retry_us:
            raise Problem(RATE_LIMITED, retry_after_ms=-(-retry_us // 1000))

    def _asks(self, request: Request, identity: Identity | None) -> list[Ask]:
        quotas: Quotas = request.app.state.quotas
        asks = []
        address = quotas.addresses.key_of(request.client.host if request.client else None)
        if address is not None:
            asks.append(Ask.exactly(f"address:{address}", quotas.address, self._cost))
        if identity is None or identity.may(Permission.UNLIMITED):
            return asks
        asks.append(Ask.exactly(f"account:{identity.user_id}", quotas.account, self._cost))
        if self._commands:
            asks.append(Ask.exactly(f"{BIDS}:{identity.user_id}", quotas.bids))
        return asks


async def _identity(request: Request, services: Services) -> Identity | None:
    """The identity of a good token, which the route need not verify again."""
    try:
        identity = await identity_of(request, services)
    except (TokenError, Problem):
        # The route says so, if it needs one.
        return None
    if identity is not None:
        request.scope[IDENTITY] = identity
    return identity
