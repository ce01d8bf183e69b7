"""The services of the routes about ways to log in."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.identity.openid import OpenIdProviders
from persistence.identity.challenges import LogInChallenges
from persistence.identity.identities import Identities
from persistence.identity.passkeys import Passkeys


@dataclass(frozen=True)
class Site:
    """What browsers and wallets know this site by. ``redirects``: the pages of apps that a log-in may return to."""

    public_url: str
    chain_id: str | None = None
    redirects: frozenset[str] = frozenset()

    @property
    def domain(self) -> str:
        """With its port, as wallets show it."""
        return urlsplit(self.public_url).netloc

    @property
    def relying_party(self) -> str:
        """The host, which passkeys are bound to."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def is_secure(self) -> bool:
        """Whether browsers may send its cookies over HTTPS only."""
        return self.public_url.startswith("https://")


@dataclass(frozen=True)
class WaysIn:
    """Identities, passkeys, and the challenges of both."""

    identities: Identities
    passkeys: Passkeys
    challenges: LogInChallenges
    providers: OpenIdProviders
    site: Site
