"""The public keys of access tokens, for services that verify them by themselves."""

from typing import Any

from fastapi import Response

from gateway.identity.signing_keys import JWKS_MAX_AGE_S
from gateway.rest.callers import PUBLIC
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep

# RFC 8615: at the root of the host.
router = api_router("identity", prefix="")


@router.get("/.well-known/jwks.json", dependencies=[PUBLIC], summary="The keys that sign access tokens (RFC 7517)")
async def jwks(response: Response, services: ServicesDep) -> dict[str, Any]:
    """The keys that sign or have signed, and the next one: it is here for 10 minutes before it signs."""
    response.headers["Cache-Control"] = f"public, max-age={JWKS_MAX_AGE_S}"
    return services.tokens.jwks()
