"""Registering, logging in, and tokens that stay fresh."""

import asyncio
import time

from ece_client.errors import ConnectionLost, Refused
from ece_client.rest import AccessToken, Rest
from ece_client.values import Pair, User, Value

# A token is replaced when this share of its life is over: time enough for a gateway that restarts.
LIFE_USED = 0.8


class Registered(Value, frozen=True):
    """The answer to a registration."""

    user: User


async def register_user(rest: Rest, email: str, username: str, password: str) -> User:
    """A new user. Sent once: if the answer is lost, logging in tells whether there is such a user."""
    body = {"email": email, "username": username, "password": password}
    answer: Registered = await rest.once("POST", "/auth/register", Registered, body)
    return answer.user


class FixedToken:
    """A token that somebody else keeps fresh, or that does not expire."""

    def __init__(self, token: str) -> None:
        self._token = AccessToken(token)

    async def access_token(self) -> AccessToken:
        """It."""
        return self._token

    async def renew(self, refused: str) -> AccessToken:
        """There is no other one. Raises Refused."""
        raise Refused("unauthenticated", "the access token is refused, and there is no other one", {}, 401)


class PasswordTokens:
    """Logs in with a password, and refreshes. Where the log-in has been ended, it logs in again."""

    def __init__(self, rest: Rest, login: str, password: str) -> None:
        self._rest = rest
        self._login = login
        self._password = password
        self._pair: Pair | None = None
        self._token: AccessToken | None = None
        # One renewal at a time: a refresh token is good for one use.
        self._renewing = asyncio.Lock()

    async def access_token(self) -> AccessToken:
        """A token with at least a fifth of its life left."""
        async with self._renewing:
            token = self._token
            if token is None or token.replace_at_s is None or time.monotonic() >= token.replace_at_s:
                token = await self._renewed()
            return token

    async def renew(self, refused: str) -> AccessToken:
        """Another token; the one that somebody else has just got, where `refused` is no longer the newest."""
        async with self._renewing:
            if self._token is not None and self._token.text != refused:
                return self._token
            return await self._renewed()

    async def log_out(self) -> None:
        """End the log-in, if there is one."""
        async with self._renewing:
            pair, self._pair, self._token = self._pair, None, None
            if pair is not None:
                body = {"refresh_token": pair.refresh_token}
                await self._rest.once("POST", "/auth/logout", None, body)

    async def _renewed(self) -> AccessToken:
        began_s = time.monotonic()
        self._pair = await self._next_pair()
        self._token = AccessToken(self._pair.access_token, began_s + LIFE_USED * self._pair.expires_in)
        return self._token

    async def _next_pair(self) -> Pair:
        if self._pair is not None:
            body = {"refresh_token": self._pair.refresh_token}
            try:
                pair: Pair = await self._rest.once("POST", "/auth/refresh", Pair, body)
                return pair
            except Refused as refused:
                if refused.retryable:
                    raise
            except ConnectionLost as lost:
                # Within 10 s the same refresh token gives the same successor; later the log-in would be ended.
                if not lost.sent:
                    raise
        body = {"login": self._login, "password": self._password}
        logged_in: Pair = await self._rest.once("POST", "/auth/login", Pair, body)
        return logged_in
