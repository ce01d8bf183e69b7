"""Users that a replay or a bench acts as. The caller makes them: registering thousands by REST would
hash thousands of passwords."""

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from ece_client import AccessToken

OPERATOR_ROLE = "admin"
# Before every name that comes from a file, so that no row of it can name a real user.
FILE_NAME_PREFIX = "ebay_"
_PLAIN_NAME = re.compile(r"[a-z0-9_]{1,20}", re.ASCII)


@dataclass(frozen=True)
class Account:
    """A user who can act: `token` is an access token, which expires."""

    id: str
    username: str
    token: str = field(repr=False)


class Accounts(Protocol):
    async def provision(self, names: list[str], role: str | None = None) -> dict[str, Account]:
        """Accounts by name: made where they don't exist, fresh tokens for all."""


class Roster:
    """The accounts of one run, with tokens that can be renewed when they have expired."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._known: dict[str, Account] = {}
        self._roles: dict[str, str | None] = {}

    async def enlist(self, names: list[str], role: str | None = None) -> None:
        """Provide these names, all at once."""
        self._known.update(await self._accounts.provision(names, role))
        self._roles.update(dict.fromkeys(names, role))

    def account(self, name: str) -> Account:
        return self._known[name]

    def token(self, name: str) -> str:
        return self._known[name].token

    async def renewed_token(self, name: str) -> str:
        """A fresh token for a name whose last one was refused."""
        await self.enlist([name], self._roles[name])
        return self.token(name)


class RosterTokens:
    """The tokens of one name of a roster, for a client."""

    def __init__(self, roster: Roster, name: str) -> None:
        self._roster = roster
        self._name = name

    async def access_token(self) -> AccessToken:
        """The last token that the roster knows."""
        return AccessToken(self._roster.token(self._name))

    async def renew(self, refused: str) -> AccessToken:
        """A fresh one, unless there is one already."""
        known = self._roster.token(self._name)
        return AccessToken(known if known != refused else await self._roster.renewed_token(self._name))


def username_of(recorded_bidder: str) -> str:
    """A valid user name for a bidder of a file: the same for the same bidder, different for different ones."""
    if _PLAIN_NAME.fullmatch(recorded_bidder):
        return FILE_NAME_PREFIX + recorded_bidder
    return FILE_NAME_PREFIX + "x" + sha256(recorded_bidder.encode()).hexdigest()[:19]
