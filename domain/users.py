"""What users are known by: usernames and e-mail addresses, in the forms in which they are compared."""

import unicodedata

import email_validator

from domain.confusables import LOOKS_LIKE_ASCII
from domain.text import normal

# Users that replays and benches act as have addresses here.
RESERVED_DOMAIN = ".invalid"
# Users who log in by a wallet or a provider may have no address: theirs are random, here.
NO_ADDRESS = "@no-address.invalid"
# The names of deleted accounts begin with it.
DELETED_PREFIX = "deleted-"
# Of the characters of usernames (ASCII letters, digits, "-", "_") those that UTS 39 takes for each other, in any case.
_LOOKS_LIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "m": "rn"})
_OTHER_SCRIPTS = str.maketrans({other: letter for letter, same in LOOKS_LIKE_ASCII.items() for other in same})
_SEPARATORS = str.maketrans("", "", "-_")


def skeleton(name: str) -> str:
    """The skeleton of a name (UTS 39): names with the same one look alike. Accents and forms of letters don't count.

    Usernames are ASCII; names that are shown may be of any script.
    """
    if not name.isascii():
        letters = unicodedata.normalize("NFKD", name.translate(_OTHER_SCRIPTS))
        name = "".join(one for one in letters if not unicodedata.combining(one)).translate(_OTHER_SCRIPTS)
    return name.lower().translate(_LOOKS_LIKE)


_RESERVED = frozenset(
    map(
        skeleton,
        (
            "abuse", "account", "accounts", "admin", "administrator", "admins", "anonymous", "api", "auction",
            "auctioneer", "auctions", "bank", "billing", "bot", "cashier", "contact", "ece", "elitecardexchange",
            "escrow", "everyone", "exchange", "faucet", "finance", "fraud", "guest", "help", "helpdesk", "host",
            "hostmaster", "house", "info", "legal", "ledger", "market", "mod", "moderator", "moderators", "news",
            "nobody", "noreply", "notifications", "null", "official", "operator", "operators", "owner", "payments",
            "payout", "payouts", "postmaster", "privacy", "robot", "root", "sales", "security", "service", "settings",
            "staff", "superuser", "support", "sysadmin", "sysop", "system", "team", "treasury", "trust", "undefined",
            "unknown", "user", "users", "verified", "vault", "wallet", "webmaster", "withdrawals",
        ),
    )
)  # fmt: skip


def is_reserved(username: str) -> bool:
    """Whether a person with this name could be taken for the house: by look, and whatever separates its letters."""
    if skeleton(username).startswith(skeleton(DELETED_PREFIX)):
        return True
    return skeleton(username).translate(_SEPARATORS) in _RESERVED


def email_address(text: str) -> str:
    """The address as it is shown: normalised, the domain in Unicode (IDNA). Raises ValueError."""
    try:
        # No look-up of the domain, and local ones are fine: nothing is sent until verification is asked for.
        address = email_validator.validate_email(
            normal(text.strip()), check_deliverability=False, globally_deliverable=False
        )
    except email_validator.EmailNotValidError:
        raise ValueError("this is no e-mail address") from None
    return address.normalized


def email_key(text: str) -> str:
    """What an address is compared by: two with the same key are the same one. Raises ValueError."""
    return text if text.endswith(NO_ADDRESS) else normal(email_address(text).lower())


def login_key(login: str) -> str:
    """What a login is compared by: the key of an e-mail address, or a username in small letters. Raises ValueError."""
    return email_key(login) if "@" in login else login.strip().lower()
