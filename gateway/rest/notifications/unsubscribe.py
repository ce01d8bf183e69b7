"""One-click unsubscribing from mails (RFC 8058): by a token, without a log-in."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from gateway.http.problems import Problem
from gateway.rest.callers import PUBLIC
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from persistence.notifications.preferences import DEFAULTS

router = api_router("notifications")

Token = Annotated[str, Query(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$", description="From the mail")]


@router.post("/notifications/unsubscribe", dependencies=[PUBLIC], status_code=204, summary="No more mails of one kind")
async def unsubscribe(services: ServicesDep, token: Token) -> Response:
    """What the header `List-Unsubscribe` of a mail leads to. A body is not read; in the app the notifications stay."""
    found = services.accounts.token_maker.unsubscribing(token)
    if found is None or found[1] not in DEFAULTS:
        raise Problem("mail_token_invalid", "this is not a token of a mail")
    await services.profiles.notifications.end_email(*found)
    return Response(status_code=204)
