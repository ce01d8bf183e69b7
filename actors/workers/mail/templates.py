"""The texts of all mails: plain, short, and what to do if one did not ask for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from persistence.identity.mail_jobs import (
    ACCESS_CHANGED,
    ADDRESS_CHANGED,
    API_KEY_EXPIRES,
    CHANGE_ADDRESS,
    CODE_USED_AGAIN,
    LOCKED_OUT,
    NEW_DEVICE,
    PASSWORD_CHANGED,
    RESET,
    VERIFY,
)

LISTED_MAX = 20
TITLE_LENGTH_MAX = 100

# About -> (subject, text), with {name}, {token} and {site}.
_ACCOUNT = {
    VERIFY: (
        "Verify your e-mail address",
        "Hello {name},\n\nthis address was given for an account at {site}. To verify it, open this link within "
        "24 hours:\n\n    {site}/verify#{token}\n\nOr enter what stands after the # at {site}/verify\n\n"
        "If you have no account there, ignore this mail.\n",
    ),
    CHANGE_ADDRESS: (
        "Verify your new e-mail address",
        "Hello {name},\n\nyou want this to be the address of your account at {site}. To confirm it, open this link "
        "within 24 hours:\n\n    {site}/verify#{token}\n\nOr enter what stands after the # at {site}/verify\n\n"
        "If you did not ask for this, ignore this mail: nothing changes.\n",
    ),
    ADDRESS_CHANGED: (
        "Your e-mail address was changed",
        "Hello {name},\n\nyour account at {site} has another e-mail address now. No more mail comes to this one.\n\n"
        "If this was not you, somebody knows your password: tell the operator of {site} at once.\n",
    ),
    RESET: (
        "Reset your password",
        "Hello {name},\n\nsomebody asked for a new password for your account at {site}. To set one, open this link "
        "within 10 minutes:\n\n    {site}/password/reset#{token}\n\n"
        "Or enter what stands after the # at {site}/password/reset\n\n"
        "If you did not ask for this, ignore this mail: nothing changes.\n",
    ),
    PASSWORD_CHANGED: (
        "Your password was changed",
        "Hello {name},\n\nyour account at {site} has a new password. Other sessions were ended, and API keys revoked "
        "unless you kept them.\n\n"
        "If this was not you, reset your password: {site}/password/forgot\n",
    ),
    ACCESS_CHANGED: (
        "How you log in was changed",
        "Hello {name},\n\na way to log in to your account at {site}, its second factor or an API key was added or "
        "removed. What there is now: {site}/settings/security\n\n"
        "If this was not you, reset your password, which ends all sessions and API keys: {site}/password/forgot\n",
    ),
    NEW_DEVICE: (
        "A log-in from another device",
        "Hello {name},\n\nsomebody has logged in to your account at {site}, from a device that none of your other "
        "sessions is of. All sessions, and how to end them: {site}/settings/security\n\n"
        "If this was not you, reset your password, which ends all sessions and API keys: {site}/password/forgot\n",
    ),
    CODE_USED_AGAIN: (
        "A code of your authenticator app was used twice",
        "Hello {name},\n\na code of your authenticator app for your account at {site} was entered again after it "
        "had been used. It was refused.\n\nIf you have entered it twice yourself, there is nothing to do. If not, "
        "somebody has seen your code and knows your password: reset it at {site}/password/forgot\n",
    ),
    API_KEY_EXPIRES: (
        "An API key expires soon",
        "Hello {name},\n\nan API key of your account at {site} expires within a week. What uses it needs a new one: "
        "{site}/settings/security\n\nIf nothing uses it any more, there is nothing to do.\n",
    ),
    LOCKED_OUT: (
        "Wrong passwords for your account",
        "Hello {name},\n\nsomebody has tried several wrong passwords for your account at {site}. Further tries have "
        "to wait.\n\nIf this was you and you have forgotten it: {site}/password/forgot\n"
        "If not, your password was not found, and there is nothing to do.\n",
    ),
}  # fmt: skip

# Kind of a notification -> what one line says of it; {subject} is the title of what it is about.
_KINDS = {
    "outbid": "You were outbid: {subject}",
    "auction_won": "You have won: {subject}",
    "auction_ending": "Ends soon: {subject}",
    "auction_ended": "Has ended: {subject}",
    "seller_listed": "{seller} lists: {subject}",
    "search_match": "Found by your search {search}: {subject}",
    "card_listed": "A card that you watch is listed: {subject}",
    "trade_offered": "{by} offers a trade",
    "trade_countered": "{by} makes another offer in a trade",
    "trade_agreed": "All have accepted a trade",
    "trade_executed": "A trade is executed",
    "trade_disputed": "A trade is disputed",
    "trade_judged": "A dispute is decided",
    "trade_reversed": "A trade is reversed",
    "trade_ended": "A trade has ended without a result",
    "deposit": "A deposit has arrived",
    "withdrawal_paid": "A withdrawal is paid",
    "withdrawal_failed": "A withdrawal has failed",
    "card_withdrawn": "A card has left to your wallet",
    "card_withdrawal_failed": "A card could not be sent to your wallet",
    "card_deposited": "A card has arrived",
    "card_left": "A card was moved on the chain",
    "card_received": "You have received a card on the chain",
    "swap": "News of a swap",
    "sale_cancelled": "A sale was cancelled: {subject}",
    "account_suspended": "Your account is suspended",
    "account_reinstated": "Your account is open again",
}
_OTHER = "News: {kind}"


def account_text(about: str, name: str, site: str, token: str) -> tuple[str, str]:
    """Subject and text of a mail about an account. ``token`` is empty where the mail has none."""
    subject, text = _ACCOUNT[about]
    return subject, text.format(name=name, site=site, token=token)


def notification_text(
    kind: str, data: Sequence[Mapping[str, Any]], total: int, name: str, site: str
) -> tuple[str, str]:
    """Subject and text of a mail about notifications of one kind: up to LISTED_MAX of them, of ``total``."""
    lines = [notification_line(kind, one) for one in data[:LISTED_MAX]]
    subject = lines[0] if total == 1 else f"{lines[0]}, and {total - 1} more"
    more = [f"… and {total - len(lines)} more"] if total > len(lines) else []
    listed = "\n".join(f"  - {line}" for line in [*lines, *more])
    return subject, (
        f"Hello {name},\n\n{listed}\n\nAll of it: {site}\n\n"
        f"You get this because e-mail is on for notifications of the kind {kind}. To turn it off: "
        f"{site}/settings, or the unsubscribe button of your mail program.\n"
    )


def notification_line(kind: str, data: Mapping[str, Any]) -> str:
    """One line about a notification."""
    search = _part(data, "search")
    words = {
        "kind": kind,
        "subject": notification_subject(data) or "a card",
        "seller": data.get("seller") or "A seller",
        "by": data.get("by") or "Somebody",
        "search": search.get("name") or "",
    }
    return _KINDS.get(kind, _OTHER).format(**{key: _short(str(value)) for key, value in words.items()})


def notification_subject(data: Mapping[str, Any]) -> str | None:
    """The title of its auction, or the name of its card, in one line."""
    subject = _part(data, "auction").get("title") or _part(data, "card").get("name")
    return None if subject is None else _short(str(subject))


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = data.get(name)
    return part if isinstance(part, Mapping) else {}


def _short(text: str) -> str:
    """One line of what a user wrote."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE_LENGTH_MAX else f"{line[: TITLE_LENGTH_MAX - 1]}…"
