"""Checks where a user wants something sent on chain."""

from chain.wallets.addresses import InvalidAddress
from domain.errors import INVALID_ADDRESS
from gateway.http.problems import Problem
from gateway.rest.services import Services


async def check_destination(services: Services, text: str) -> None:
    """Nothing is checked by an engine without a chain. Raises the problem ``invalid_address`` with its reason."""
    if services.wallets.destinations is None:
        return
    try:
        await services.wallets.destinations.check(text)
    except InvalidAddress as fault:
        raise Problem(INVALID_ADDRESS, str(fault), reason=fault.reason.value) from None
