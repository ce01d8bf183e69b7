"""The routers of this folder."""

from fastapi import APIRouter

from gateway.rest.services import Services
from gateway.rest.ways_in import identities
from gateway.rest.ways_in.openid import OpenIdRoutes
from gateway.rest.ways_in.passkeys import PasskeyRoutes
from gateway.rest.ways_in.solana import SolanaRoutes


def ways_in_routers(services: Services) -> list[APIRouter]:
    """In their order."""
    return [
        SolanaRoutes(services).router, OpenIdRoutes(services).router, PasskeyRoutes(services).router,
        identities.router,
    ]  # fmt: skip
