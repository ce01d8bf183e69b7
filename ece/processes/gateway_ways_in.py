"""What a gateway's routes about ways to log in need."""

from ece.login_settings import providers_of, redirects_of
from ece.settings import Settings
from gateway.identity.emails import EmailEncryption
from gateway.identity.openid import OpenIdProviders
from gateway.rest.ways_in.openid import CALLBACK_PATH
from gateway.rest.ways_in.services import Site, WaysIn
from persistence.identity.challenges import LogInChallenges
from persistence.identity.identities import Identities
from persistence.identity.passkeys import Passkeys
from persistence.identity.store import UserStore
from persistence.postgres.pool import Pool

# Where the browser client comes back to from a provider: after a log-in, and after linking.
OWN_RETURN_PAGES = ("/login/return", "/settings/security")


def ways_in(settings: Settings, pool: Pool, users: UserStore, emails: EmailEncryption) -> WaysIn:
    """Over this pool, with the providers of the settings."""
    url = settings.site_url
    secret = settings.oidc_providers
    providers = {} if secret is None else providers_of(secret.get_secret_value())
    # Those of the engine's own browser client are always among them.
    pages = redirects_of(settings.login_redirects or "") | {url + page for page in OWN_RETURN_PAGES}
    clients = OpenIdProviders(providers, url, CALLBACK_PATH)
    return WaysIn(
        Identities(pool, users, emails), Passkeys(pool), LogInChallenges(pool), clients,
        Site(url, None if settings.external_chain else "solana:localnet", pages),
    )  # fmt: skip
