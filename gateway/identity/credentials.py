"""What a client proves who it is with: an access token or an API key. REST and the WebSocket ask here."""

from collections.abc import Callable, Sequence

import structlog

from gateway.identity.access_changes import AccessChangeFeed
from gateway.identity.api_keys import ApiKeyCheck, is_key
from gateway.identity.tokens import Identity, TokenError, TokenExpired, TokenIssuer, TokenRevoked
from persistence.identity.access_changes import AccessChange

log = structlog.get_logger(__name__)

CHANGED = "what you may do has changed: refresh the access token, or say hello again"


def log_refused(error: TokenError, address: str | None) -> None:
    """Log that a token or key was refused, without it; not that a token has expired, which each client meets."""
    if not isinstance(error, TokenExpired):
        log.info("token_refused", reason=type(error).__name__, address=address)


class Credentials:
    """Checks of access tokens and API keys."""

    def __init__(
        self, tokens: TokenIssuer, keys: ApiKeyCheck, changes: AccessChangeFeed, now_ms: Callable[[], int]
    ) -> None:
        self.changes = changes
        self._tokens = tokens
        self._keys = keys
        self._now_ms = now_ms
        changes.changed.append(self._look_keys_up_again)

    async def identity(self, token: str, address: str | None) -> Identity:
        """Whom a token or key speaks for. Raises TokenError, and for keys StoreError."""
        if is_key(token):
            return self.checked(await self._keys.identity(token, address))
        return self.of_token(token)

    def of_token(self, token: str) -> Identity:
        """Whom an access token speaks for. Raises TokenError."""
        return self.checked(self._tokens.verify(token, self._now_ms() // 1000))

    def checked(self, identity: Identity) -> Identity:
        """The identity. Raises TokenRevoked if its session has ended, TokenExpired if it was read before a change."""
        if self.changes.has_ended(identity.session):
            raise TokenRevoked("this session has ended: log in again")
        if self.changes.is_stale(identity):
            raise TokenExpired(CHANGED)
        return identity

    def _look_keys_up_again(self, changes: Sequence[AccessChange]) -> None:
        # Log-outs are frequent, and change no key.
        if any(change.session is None for change in changes):
            self._keys.forget()
