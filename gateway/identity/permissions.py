"""The one check of what a caller may do, for REST and the WebSocket."""

import structlog

from domain.errors import FORBIDDEN, UNAUTHENTICATED
from domain.ids import id_text
from domain.permissions import SUSPENDED, Access, Needed
from gateway.identity.tokens import Identity
from gateway.wire.faults import RequestFailed

log = structlog.get_logger(__name__)


def check(identity: Identity | None, needed: Needed) -> None:
    """Raises RequestFailed: ``unauthenticated`` without an identity, ``forbidden`` where the roles do not permit it."""
    if needed is Access.PUBLIC:
        return
    if identity is None:
        raise RequestFailed(UNAUTHENTICATED, "this needs an access token or an API key")
    if needed is Access.SIGNED_IN:
        if identity.key is not None:
            raise _refused(identity, needed, "no API key may do this: log in")
        return
    if not identity.may(needed):
        raise _refused(identity, needed, _reason(identity, needed))


def _refused(identity: Identity, needed: Needed, reason: str) -> RequestFailed:
    log.info("access_refused", user=id_text(identity.user_id), needed=str(needed), by_key=identity.key is not None)
    return RequestFailed(FORBIDDEN, reason)


def _reason(identity: Identity, needed: Needed) -> str:
    if SUSPENDED in identity.roles:
        return "this account is suspended"
    return f"this needs the permission {needed}"
