"""What a gateway knows of identity: the keys that sign tokens, sessions, API keys, and who may do what."""

from dataclasses import dataclass
from email.utils import parseaddr
from urllib.parse import urlsplit

from actors.clock import Clock
from chain.wallets.envelope import EnvelopeCipher
from ece.processes.gateway_ways_in import ways_in
from ece.settings import Settings, revealed
from gateway.identity.access_changes import AccessChangeFeed
from gateway.identity.api_keys import ApiKeyCheck
from gateway.identity.credentials import Credentials
from gateway.identity.emails import EmailEncryption
from gateway.identity.log_in_failures import LogInFailures
from gateway.identity.sessions.activity import SessionActivity
from gateway.identity.sessions.ending import Sessions
from gateway.identity.signing_keys import SigningKeys
from gateway.identity.tokens import CLOCK_SKEW_S, TokenIssuer
from gateway.rest.identity.services import AccountServices
from gateway.rest.notifications.services import PushServices
from gateway.rest.services import IdentityServices
from persistence.identity.access_changes import AccessChanges
from persistence.identity.api_keys import ApiKeys
from persistence.identity.mail_addresses import MailAddresses
from persistence.identity.mail_tokens import MailTokens, TokenMaker
from persistence.identity.passwords import Passwords
from persistence.identity.roles import RoleStore
from persistence.identity.sessions import SessionStore
from persistence.identity.signing_keys import SigningKeyStore
from persistence.identity.store import RefreshTokens, UserStore
from persistence.postgres.pool import Pool
from persistence.push.subscriptions import PushSubscriptions
from persistence.push.vapid import VapidKey
from persistence.redis.announcements import SESSIONS_CHANNEL, Announcer, Listener
from persistence.redis.log_in_failures import FailureCounts
from persistence.redis.session_uses import SessionUses


@dataclass(frozen=True)
class IdentityParts:
    """``start`` follows what other gateways do."""

    services: IdentityServices
    activity: SessionActivity
    keys: SigningKeys
    changes: AccessChangeFeed

    def start(self) -> None:
        """Follow what changes."""
        self.keys.start()
        self.changes.start()
        self.activity.start()

    async def stop(self) -> None:
        """End it, and close the connections to Redis."""
        await self.activity.stop()
        await self.changes.stop()
        await self.keys.stop()
        await self.services["ways_in"].providers.stop()
        await self.services["accounts"].failures.stop()


async def loaded_identity(
    settings: Settings, pool: Pool, announcer: Announcer, cipher: EnvelopeCipher, clock: Clock
) -> IdentityParts:
    """Over this pool, with keys and changes loaded. Raises UnusableKey, StoreUnavailable."""
    redis_url, ttl_s = revealed(settings.redis_url), settings.access_token_ttl_s
    keys = SigningKeys(SigningKeyStore(pool), cipher, clock.now_ms, 1000 * settings.signing_key_rotation_s)
    emails = EmailEncryption(cipher, settings.encrypt_emails)
    users = UserStore(pool, emails, settings.new_user_role_list)
    # As long as any token from before a change can be valid.
    kept_ms, listener = 1000 * (ttl_s + CLOCK_SKEW_S), Listener(redis_url, [SESSIONS_CHANNEL])
    changes = AccessChangeFeed(AccessChanges(pool), kept_ms, clock.now_ms, listener)
    uses = SessionUses(redis_url, settings.session_idle_s)
    accounts = account_services(settings, pool, emails)
    api_keys = ApiKeyCheck(ApiKeys(pool), clock.now_ms, verification_demanded=accounts.verification_demanded)
    tokens, activity = TokenIssuer(revealed(settings.jwt_secret), ttl_s, keys), SessionActivity(uses)
    services = IdentityServices(
        users=users,
        refresh_tokens=RefreshTokens(pool),
        sessions=Sessions(SessionStore(pool), RefreshTokens(pool), uses, changes, announcer.publish),
        ways_in=ways_in(settings, pool, users, emails),
        accounts=accounts,
        tokens=tokens,
        credentials=Credentials(tokens, api_keys, changes, clock.now_ms),
        roles=RoleStore(pool),
        api_keys=ApiKeys(pool),
        activity=activity,
    )
    await keys.load()
    await changes.read()
    return IdentityParts(services, activity, keys, changes)


def account_services(settings: Settings, pool: Pool, emails: EmailEncryption) -> AccountServices:
    """Passwords, verification and unsubscribing."""
    failures = LogInFailures(FailureCounts(revealed(settings.redis_url)))
    return AccountServices(
        Passwords(pool, emails),
        MailAddresses(pool, emails),
        MailTokens(pool, emails),
        TokenMaker(revealed(settings.mail_secret)),
        failures,
        verification_demanded=settings.verification == "before_money",
        site_words=site_words(settings),
    )


def site_words(settings: Settings) -> tuple[str, ...]:
    """Names of this site that no password may consist of."""
    host = urlsplit(settings.site_url).hostname or ""
    name, _ = parseaddr(settings.mail_from)
    return tuple({"ece", "elitecardexchange", *host.lower().split("."), *name.lower().split()})


def push_services(settings: Settings, pool: Pool) -> PushServices:
    """Subscriptions, and the key for new ones."""
    return PushServices(PushSubscriptions(pool), VapidKey(revealed(settings.mail_secret)).public, settings.push_origins)
