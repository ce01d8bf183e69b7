"""The sessions of users: listing them, and ending them on every gateway."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from gateway.identity.access_changes import IDS_IN_MESSAGE_MAX, AccessChangeFeed
from persistence.identity.sessions import SessionStore
from persistence.identity.store import RefreshTokens
from persistence.redis.announcements import SESSIONS_CHANNEL
from persistence.redis.session_uses import SessionUse, SessionUses, UsesUnavailable


class ListedSession(msgspec.Struct, frozen=True):
    """A session as its user sees it: the device and the address of its last use. Times in milliseconds."""

    session: str
    device: str
    address: str
    started_at: int
    used_at: int


class Sessions:
    """Lists and ends sessions. Every method may raise StoreUnavailable.

    Whatever ends sessions calls this class: it ends them in PostgreSQL, and then tells all gateways, which refuse
    their access tokens and close their sockets (4503) within a second. A change of a password calls
    ``end_others(user_id, current session)``; a reset, or the deletion of an account, ``end_others(user_id, None)``.
    """

    def __init__(
        self, store: SessionStore, refresh_tokens: RefreshTokens, uses: SessionUses | None = None,
        changes: AccessChangeFeed | None = None, publish: Callable[[str, bytes], None] | None = None,
    ) -> None:  # fmt: skip
        """Without ``changes`` and ``publish`` PostgreSQL alone knows what has ended; without ``uses`` no last use."""
        self._store = store
        self._refresh_tokens = refresh_tokens
        self._uses = uses
        self._changes = changes
        self._publish = publish

    async def of_user(self, user_id: int, now_ms: int) -> list[ListedSession]:
        """The sessions of a user, the newest first; without Redis, as they were at their last refresh."""
        stored = await self._store.of_user(user_id, now_ms)
        uses: dict[str, SessionUse] = {}
        if self._uses is not None:
            with suppress(UsesUnavailable):
                uses = await self._uses.of([one.session for one in stored])
        listed = []
        for one in stored:
            begun = SessionUse(one.refreshed_at or one.started_at, one.address, one.device)
            last = max(uses.get(one.session, begun), begun, key=lambda use: use.at)
            listed.append(ListedSession(one.session, last.device, last.address, one.started_at, last.at))
        return listed

    async def count(self, now_ms: int) -> int:
        """How many sessions there are of all users; see SessionStore."""
        return await self._store.count(now_ms)

    async def end(self, user_id: int, session: str) -> bool:
        """End one session of a user, everywhere; False if they have no such one."""
        ended = await self._store.end(user_id, session)
        if ended:
            self.announce([session])
        return ended

    async def end_others(self, user_id: int, kept: str | None) -> int:
        """End all sessions of a user but ``kept`` (None: all), everywhere; how many there were."""
        ended = await self._store.end_others(user_id, kept)
        self.announce(ended)
        return len(ended)

    async def log_out(self, refresh_token: str) -> None:
        """End the session of a refresh token, everywhere. An unknown one is fine."""
        ended = await self._refresh_tokens.end(refresh_token)
        if ended is not None:
            self.announce([ended])

    def announce(self, sessions: Sequence[str]) -> None:
        """Announce to all gateways sessions that have ended in PostgreSQL. If this is lost, they read it there."""
        if self._changes is not None:
            self._changes.end(sessions)
        if self._publish is not None:
            for start in range(0, len(sessions), IDS_IN_MESSAGE_MAX):
                page = sessions[start : start + IDS_IN_MESSAGE_MAX]
                self._publish(SESSIONS_CHANNEL, ",".join(page).encode())
