"""Who may do what: the one table of roles and permissions. What it does not name is denied."""

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache


class Permission(StrEnum):
    """What a route or an operation needs. The values are stored as scopes of API keys."""

    READ = "account.read"
    WRITE = "account.write"
    BID = "bid"
    LIST = "list"
    TRADE = "trade"
    DISPUTE = "dispute"
    GIVE = "give"
    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    MINT = "mint"
    MODERATE = "moderate"
    AUDIT = "audit.read"
    CATALOG = "catalog.write"
    SALES = "sales.manage"
    FEES = "fees.manage"
    PAYOUTS = "payouts.decide"
    JOBS = "jobs.manage"
    ROLES = "roles.manage"
    UNLIMITED = "unlimited"


class Access(StrEnum):
    """What a route or an operation needs instead of a permission."""

    PUBLIC = "public"
    # Of one's own account and its security. Never with an API key.
    SIGNED_IN = "signed-in"


Needed = Permission | Access

ADMIN = "admin"
MODERATOR = "moderator"
QUOTA_EXEMPT = "quota_exempt"
SUSPENDED = "suspended"
DEFAULT_ROLES = ("collector", "seller", "minter")

# What it says, so that each row of the printed table has a meaning.
MEANINGS = {
    Permission.READ: "read what only oneself sees: balance, trades, notifications, portfolio",
    Permission.WRITE: "change one's profile, preferences and lists",
    Permission.BID: "bid, buy now, take second-chance offers",
    Permission.LIST: "list auctions and cancel them",
    Permission.TRADE: "negotiate and confirm trades, swap between outside wallets",
    Permission.DISPUTE: "dispute a trade, and answer in a dispute",
    Permission.GIVE: "give cards away",
    Permission.DEPOSIT: "take money out of the faucet, deposit from linked wallets",
    Permission.WITHDRAW: "send money and cards to outside wallets",
    Permission.MINT: "upload content, create and mint cards",
    Permission.MODERATE: "decide disputes, reverse protected trades, suspend users",
    Permission.AUDIT: "read the audit trail",
    Permission.CATALOG: "write the catalog, make copies, set royalties",
    Permission.SALES: "close auctions, take sales back, retry settlements",
    Permission.FEES: "set fees and the tiers of sellers",
    Permission.PAYOUTS: "decide on large withdrawals",
    Permission.JOBS: "see and retry jobs and mints",
    Permission.ROLES: "grant and revoke roles",
    Permission.UNLIMITED: "no rate limits and no quotas of sellers",
}

_OWN = frozenset({Permission.READ, Permission.WRITE, Permission.DISPUTE, Permission.WITHDRAW})
_STAFF = {Permission.MODERATE, Permission.AUDIT}

ROLES: dict[str, frozenset[Permission]] = {
    "collector": _OWN | {Permission.BID, Permission.TRADE, Permission.GIVE, Permission.DEPOSIT},
    "seller": _OWN | {Permission.LIST},
    "minter": _OWN | {Permission.MINT},
    MODERATOR: _OWN | _STAFF,
    ADMIN: frozenset(Permission) - {Permission.UNLIMITED},
    # Users that replays and benches act as, and sellers whom admins trust to list much.
    QUOTA_EXEMPT: frozenset({Permission.UNLIMITED}),
    # In place of all other roles while a moderator has suspended the user: what they have stays theirs.
    SUSPENDED: frozenset({Permission.READ, Permission.DISPUTE, Permission.WITHDRAW}),
}
GRANTABLE = tuple(role for role in ROLES if role != SUSPENDED)

# Each act with one of these that changes something is in the audit trail before it is done.
STAFF = frozenset(
    {
        Permission.MODERATE, Permission.AUDIT, Permission.CATALOG, Permission.SALES, Permission.FEES,
        Permission.PAYOUTS, Permission.JOBS, Permission.ROLES,
    }
)  # fmt: skip
# What a key may be given. One that can grant roles could give itself everything.
SCOPES = tuple(one for one in Permission if one not in (Permission.ROLES, Permission.UNLIMITED))


# Sets of roles are few: they are those of the users of a gateway.
@lru_cache(maxsize=1_024)
def permissions_of(roles: frozenset[str]) -> frozenset[Permission]:
    """What somebody with these roles may do. An unknown role permits nothing."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))


def scopes_of(texts: Iterable[str]) -> frozenset[Permission]:
    """Stored scopes; one that this version does not know permits nothing."""
    known = {one.value: one for one in SCOPES}
    return frozenset(known[text] for text in texts if text in known)
