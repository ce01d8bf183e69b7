"""The catalogue of all errors that clients can get: REST and WebSocket build their answers from it.

A code is stable; its text may change. docs/protocol.md and docs/asyncapi.yaml are tested against this table.
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class Error(msgspec.Struct, frozen=True):
    """One row of the catalogue.

    ``status`` is the HTTP status, None if REST never sends it; ``socket``: whether the WebSocket sends it. ``fields``
    are always sent with code and text. ``retry_after_ms`` is the default of this field, which such an error always has.
    ``outcome_unknown``: the command may have been accepted, so a retry needs the same key.
    """

    text: str
    status: int | None = None
    socket: bool = False
    fields: tuple[str, ...] = ()
    retry_after_ms: int | None = None
    outcome_unknown: bool = False


# Bids and auctions.
ALREADY_LEADING = "already_leading"
AUCTION_CLOSED = "auction_closed"
AUCTION_NOT_OPEN = "auction_not_open"
BID_TOO_LOW = "bid_too_low"
BUY_NOW_GONE = "buy_now_gone"
HAS_BIDS = "has_bids"
OWN_AUCTION = "own_auction"
# Money.
BALANCE_TOO_LARGE = "balance_too_large"
COOLING_DOWN = "cooling_down"
DAILY_LIMIT_REACHED = "daily_limit_reached"
DEPOSIT_TOO_LARGE = "deposit_too_large"
FAUCET_OFF = "faucet_off"
INSUFFICIENT_FUNDS = "insufficient_funds"
UNKNOWN_CURRENCY = "unknown_currency"
INVALID_ADDRESS = "invalid_address"
WITHDRAWAL_DECIDED = "withdrawal_decided"
WITHDRAWAL_TOO_LARGE = "withdrawal_too_large"
# Cards, copies, sales.
CARD_EXISTS = "card_exists"
CARD_GONE = "card_gone"
CARD_NOT_FOUND = "card_not_found"
COPIES_NOT_LOCKED = "copies_not_locked"
COPY_MOVING = "copy_moving"
COPY_MOVED_ON = "copy_moved_on"
COPY_NOT_FOUND = "copy_not_found"
COPY_NOT_FREE = "copy_not_free"
EDITION_FULL = "edition_full"
NO_RUNNER_UP = "no_runner_up"
NOT_SETTLED = "not_settled"
NOT_YOUR_COPY = "not_your_copy"
OFFER_ENDED = "offer_ended"
QUOTA_EXCEEDED = "quota_exceeded"
SALE_CANCELLED = "sale_cancelled"
# Metadata and stored content.
CONTENT_QUOTA_EXCEEDED = "content_quota_exceeded"
IMAGE_TOO_LARGE = "image_too_large"
INVALID_IMAGE = "invalid_image"
INVALID_METADATA = "invalid_metadata"
METADATA_TOO_LONG = "metadata_too_long"
RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
ROYALTY_TOO_HIGH = "royalty_too_high"
TOO_MANY_ATTRIBUTES = "too_many_attributes"
UNSUPPORTED_IMAGE = "unsupported_image"
# Users and what they keep.
ACCOUNT_IN_USE = "account_in_use"
EMAIL_NOT_VERIFIED = "email_not_verified"
EMAIL_TAKEN = "email_taken"
FOLLOWS_FULL = "follows_full"
MAIL_TOKEN_INVALID = "mail_token_invalid"
PASSWORD_REFUSED = "password_refused"
API_KEYS_FULL = "api_keys_full"
PUSH_SUBSCRIPTIONS_FULL = "push_subscriptions_full"
PUSH_SUBSCRIPTION_TAKEN = "push_subscription_taken"
LAST_ADMIN = "last_admin"
SAVED_SEARCHES_FULL = "saved_searches_full"
USERNAME_TAKEN = "username_taken"
WATCH_LIST_FULL = "watch_list_full"
# Minting.
ALREADY_MINTED = "already_minted"
NOTHING_TO_MINT = "nothing_to_mint"
NOT_YOUR_CARD = "not_your_card"
TOO_MANY_MINTS = "too_many_mints"
# Wallets and the second factor.
CHALLENGE_EXPIRED = "challenge_expired"
NO_CHAIN = "no_chain"
NOT_ANCHORED = "not_anchored"
NOT_IN_WALLET = "not_in_wallet"
NOT_MINTED = "not_minted"
SECOND_FACTOR_INVALID = "second_factor_invalid"
SECOND_FACTOR_OFF = "second_factor_off"
SECOND_FACTOR_ON = "second_factor_on"
SECOND_FACTOR_REQUIRED = "second_factor_required"
SIGNATURE_INVALID = "signature_invalid"
SWAP_ENDED = "swap_ended"
SWAP_NOT_READY = "swap_not_ready"
SWAP_TOO_LARGE = "swap_too_large"
SWAPS_FULL = "swaps_full"
TRANSACTION_CHANGED = "transaction_changed"
WALLET_NOT_LINKED = "wallet_not_linked"
WALLET_SHORT = "wallet_short"
WALLET_TAKEN = "wallet_taken"
WALLETS_FULL = "wallets_full"
# Ways to log in.
IDENTITIES_FULL = "identities_full"
IDENTITY_TAKEN = "identity_taken"
ID_TOKEN_INVALID = "id_token_invalid"
LAST_WAY_IN = "last_way_in"
PASSKEY_INVALID = "passkey_invalid"
PASSKEYS_FULL = "passkeys_full"
PROVIDER_REFUSED = "provider_refused"
PROVIDER_UNAVAILABLE = "provider_unavailable"
# Trades.
ALREADY_ACCEPTED = "already_accepted"
ALREADY_CONFIRMED = "already_confirmed"
DISPUTE_NOT_POSSIBLE = "dispute_not_possible"
INVALID_TERMS = "invalid_terms"
NOT_AGREED = "not_agreed"
NOT_REVERSIBLE = "not_reversible"
PARTY_NOT_ABLE = "party_not_able"
STALE_TERMS = "stale_terms"
TRADE_AGREED = "trade_agreed"
TRADE_COOLING_DOWN = "trade_cooling_down"
TRADE_ENDED = "trade_ended"
TRADE_FULL = "trade_full"
TRADE_LIST_FULL = "trade_list_full"
USER_BLOCKED = "user_blocked"
# Requests.
CSRF_FAILED = "csrf_failed"
FORBIDDEN = "forbidden"
HEADERS_TOO_LARGE = "headers_too_large"
IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing"
INVALID_CURSOR = "invalid_cursor"
INVALID_FRAME = "invalid_frame"
INVALID_REQUEST = "invalid_request"
KEY_REUSED = "key_reused"
METHOD_NOT_ALLOWED = "method_not_allowed"
NOT_FOUND = "not_found"
REQUEST_TIMEOUT = "request_timeout"
REQUEST_TOO_LARGE = "request_too_large"
STILL_RUNNING = "still_running"
UNAUTHENTICATED = "unauthenticated"
UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
# Load and faults.
INTERNAL_ERROR = "internal_error"
OVERLOADED = "overloaded"
RATE_LIMITED = "rate_limited"
UNAVAILABLE = "unavailable"

_BY_PRICE = ("server_time", "price", "minimum")
_BY_TIME = ("server_time",)
_FUNDS = ("available", "required")
_MAXIMUM = ("maximum",)
_CARD = ("card",)
_COPY = ("copy",)
_FIELD = ("field",)
_FIELD_MAXIMUM = ("field", "maximum")

ERRORS = {
    ALREADY_LEADING: Error("you lead, and this is not above your own maximum", 409, True, _BY_PRICE),
    AUCTION_CLOSED: Error("the auction has ended", 409, True, _BY_TIME),
    AUCTION_NOT_OPEN: Error("the auction has not started yet", 409, True, _BY_TIME),
    BID_TOO_LOW: Error("the bid is below the minimum", 409, True, _BY_PRICE),
    BUY_NOW_GONE: Error("the auction can't be bought at once, or not any more", 409, True, _BY_PRICE),
    HAS_BIDS: Error("the auction has bids, so it can't be cancelled any more", 409, False, _BY_TIME),
    OWN_AUCTION: Error("nobody may bid in their own auction", 403, True, _BY_TIME),
    BALANCE_TOO_LARGE: Error("no balance can be that large", 409),
    COOLING_DOWN: Error("the last withdrawal was a moment ago", 429, retry_after_ms=1_000),
    DAILY_LIMIT_REACHED: Error("with this, more would be withdrawn in a day than may be", 409, False, _MAXIMUM),
    DEPOSIT_TOO_LARGE: Error("the faucet does not give so much at once", 422, False, _MAXIMUM),
    FAUCET_OFF: Error("this engine has no faucet: it does not give money away", 403),
    INSUFFICIENT_FUNDS: Error("the balance does not cover this", 409, True, _FUNDS),
    UNKNOWN_CURRENCY: Error("there is no such currency", 422, False, ("currencies",)),
    INVALID_ADDRESS: Error("this address can't be used here", 422, False, ("reason",)),
    WITHDRAWAL_DECIDED: Error("this was decided already", 409),
    WITHDRAWAL_TOO_LARGE: Error("no withdrawal can be that large", 409, False, _MAXIMUM),
    CARD_EXISTS: Error("this set has a card of this number", 409),
    CARD_GONE: Error("the card was moved on the chain, so it can't be sold here", 409),
    CARD_NOT_FOUND: Error("there is no such card", 404, False, _CARD),
    COPIES_NOT_LOCKED: Error("the copies are not with this auction any more", 409),
    COPY_MOVED_ON: Error("a copy has another owner by now, or is not free", 409),
    COPY_MOVING: Error(
        "this copy is still on its way to your wallet on the chain", 409, False, _COPY, retry_after_ms=5_000
    ),
    COPY_NOT_FOUND: Error("there is no such copy", 404, True, _COPY),
    COPY_NOT_FREE: Error("this copy is listed, in a trade or withdrawn", 409, True, _COPY),
    EDITION_FULL: Error("the card's edition has no room for so many", 409, False, _CARD),
    NO_RUNNER_UP: Error("nobody else has bid enough", 409),
    NOT_SETTLED: Error("the auction was not sold, or its sale is not settled yet", 409),
    NOT_YOUR_COPY: Error("this copy is somebody else's", 403, True, _COPY),
    OFFER_ENDED: Error("this offer was accepted or declined, or its time is over", 409),
    QUOTA_EXCEEDED: Error(
        "nobody may have more of these at present", 429, True, ("quota", "limit"), retry_after_ms=60_000
    ),
    SALE_CANCELLED: Error("this sale was taken back before", 409),
    CONTENT_QUOTA_EXCEEDED: Error(
        "a user may not upload more in a day", 429, False, _MAXIMUM, retry_after_ms=3_600_000
    ),
    IMAGE_TOO_LARGE: Error("the image has too many pixels", 422, False, _MAXIMUM),
    INVALID_IMAGE: Error("the image is damaged or not complete", 422),
    INVALID_METADATA: Error("the metadata do not fit the schema", 422, False, _FIELD),
    METADATA_TOO_LONG: Error("a text of the metadata is too long", 422, False, _FIELD_MAXIMUM),
    RANGE_NOT_SATISFIABLE: Error("the content has no such bytes", 416),
    ROYALTY_TOO_HIGH: Error("the royalties are more than the price", 422, False, _FIELD_MAXIMUM),
    TOO_MANY_ATTRIBUTES: Error("the metadata have too many attributes", 422, False, _FIELD_MAXIMUM),
    UNSUPPORTED_IMAGE: Error("an image has to be PNG, JPEG, WebP, GIF or AVIF", 415),
    ACCOUNT_IN_USE: Error("something has to be settled before this account can be deleted", 409, fields=("blockers",)),
    EMAIL_NOT_VERIFIED: Error("verify your e-mail address first, then log in again", 403, True),
    PUSH_SUBSCRIPTIONS_FULL: Error("nobody can have so many push subscriptions: remove one", 409),
    PUSH_SUBSCRIPTION_TAKEN: Error("this endpoint belongs to another browser", 409),
    API_KEYS_FULL: Error("nobody can have so many API keys: revoke some", 409),
    LAST_ADMIN: Error("this is the last admin: make another one first", 409),
    EMAIL_TAKEN: Error("another user has this address", 409),
    FOLLOWS_FULL: Error("nobody can follow or mute so many users", 409),
    MAIL_TOKEN_INVALID: Error("this token of a mail is unknown, used or expired", 422),
    PASSWORD_REFUSED: Error("others would guess this password early", 422, False, ("reason",)),
    SAVED_SEARCHES_FULL: Error("nobody can keep so many searches: delete some", 409),
    USERNAME_TAKEN: Error("another user has this name", 409),
    WATCH_LIST_FULL: Error("nobody can watch so many things: stop watching some", 409),
    ALREADY_MINTED: Error("this copy is minted, or is being minted", 409, False, _COPY),
    NOTHING_TO_MINT: Error("each card of this set has a minted copy", 409),
    NOT_YOUR_CARD: Error("somebody else has created this card, or a card of this set", 403),
    TOO_MANY_MINTS: Error("no request can mint so many at once", 422, False, _MAXIMUM),
    CHALLENGE_EXPIRED: Error("the challenge is unknown, used or expired: ask for a new one", 409),
    NO_CHAIN: Error("this engine has no chain", 409),
    NOT_ANCHORED: Error("the log of this auction is not anchored on the chain, or not yet", 404),
    NOT_IN_WALLET: Error("the wallet that gives this copy does not hold it on the chain", 409, False, _COPY),
    NOT_MINTED: Error("this copy is not on the chain", 409, False, _COPY),
    SECOND_FACTOR_INVALID: Error("the code of the second factor is wrong, expired or used", 403, True),
    SECOND_FACTOR_OFF: Error("there is no second factor", 409),
    SECOND_FACTOR_ON: Error("there is a second factor already", 409),
    SECOND_FACTOR_REQUIRED: Error("this needs a code of the second factor", 403, True),
    SIGNATURE_INVALID: Error("the signature is not the wallet's over what it has to sign", 422),
    SWAP_ENDED: Error("the swap is sent or has ended", 409, False, ("state",)),
    SWAP_NOT_READY: Error("the transaction of this swap is not built yet", 409, retry_after_ms=1_000),
    SWAP_TOO_LARGE: Error("this does not fit into one transaction: swap less at once", 422),
    SWAPS_FULL: Error("nobody can propose so many swaps at a time: cancel one", 409, False, _MAXIMUM),
    TRANSACTION_CHANGED: Error("the wallet signed another transaction than the one that was prepared", 422),
    WALLET_NOT_LINKED: Error("this is not a linked wallet of this user", 422, False, ("wallet",)),
    WALLET_SHORT: Error(
        "the wallet has too little for this", 409, False, ("currency", "available", "required")
    ),
    WALLET_TAKEN: Error("this wallet is linked to another account", 409),
    WALLETS_FULL: Error("nobody can link so many wallets: unlink one", 409),
    IDENTITIES_FULL: Error("nobody can link so many identities: unlink one", 409),
    IDENTITY_TAKEN: Error("this identity or passkey belongs to an account already", 409),
    ID_TOKEN_INVALID: Error("what the provider says of the user can't be trusted", 403, False, ("reason",)),
    LAST_WAY_IN: Error("without it nobody could log in to this account", 409),
    PASSKEY_INVALID: Error("the passkey is unknown, or its answer is not right", 403),
    PASSKEYS_FULL: Error("nobody can have so many passkeys: delete one", 409),
    PROVIDER_REFUSED: Error("the provider has not confirmed who the user is", 403),
    PROVIDER_UNAVAILABLE: Error("the provider does not answer as it should", 503, retry_after_ms=5_000),
    ALREADY_ACCEPTED: Error("you have accepted this offer", 409, True, _BY_TIME),
    ALREADY_CONFIRMED: Error("you have confirmed this trade", 409, True, _BY_TIME),
    DISPUTE_NOT_POSSIBLE: Error("the trade can't be disputed, or the dispute is at another stage", 409, True, _BY_TIME),
    INVALID_TERMS: Error("nobody can trade on these terms", 422, True),
    NOT_AGREED: Error("not all parties have accepted yet", 409, True, _BY_TIME),
    NOT_REVERSIBLE: Error("the trade is not protected, or not any more", 409, True, _BY_TIME),
    PARTY_NOT_ABLE: Error("another party can't pay or deliver now", 409, True, _BY_TIME),
    STALE_TERMS: Error("the terms have changed meanwhile", 409, True, ("server_time", "version", "draft")),
    TRADE_AGREED: Error("all have accepted: decline, or confirm", 409, True, _BY_TIME),
    TRADE_COOLING_DOWN: Error("it can be confirmed after the cool-down", 409, True, _BY_TIME, retry_after_ms=1_000),
    TRADE_ENDED: Error("the negotiation has ended", 409, True, _BY_TIME),
    TRADE_FULL: Error("a trade can't have more versions, messages or edits", 409, True, _BY_TIME),
    TRADE_LIST_FULL: Error("nobody can keep so many of these: remove some", 409),
    USER_BLOCKED: Error("one of you has blocked the other", 403, True),
    CSRF_FAILED: Error("a change by cookies needs an Origin of ours and the header X-CSRF-Token", 403),
    FORBIDDEN: Error("you may not do this", 403, True),
    IDEMPOTENCY_KEY_MISSING: Error("this needs the header Idempotency-Key", 400),
    INVALID_CURSOR: Error("the cursor is not one of this list with these filters", 400),
    INVALID_FRAME: Error("the frame is not one of the protocol", socket=True),
    INVALID_REQUEST: Error("the request can't be read", 422),
    KEY_REUSED: Error("this key was used before, with another content", 422),
    METHOD_NOT_ALLOWED: Error("this address does not take this method", 405),
    NOT_FOUND: Error("there is no such thing", 404, True),
    HEADERS_TOO_LARGE: Error("the headers are too large, or too many", 431),
    REQUEST_TIMEOUT: Error("the request did not arrive as a whole in time", 408),
    REQUEST_TOO_LARGE: Error("the body is too large", 413),
    STILL_RUNNING: Error("a request with this Idempotency-Key is still running", 409, True, retry_after_ms=1_000),
    UNAUTHENTICATED: Error("this needs an access token", 401, True),
    UNSUPPORTED_MEDIA_TYPE: Error("the body must be application/json", 415),
    INTERNAL_ERROR: Error("something went wrong here; it was logged", 500, True, outcome_unknown=True),
    OVERLOADED: Error("too much at once: nothing happened, try again in a moment", 503, True, retry_after_ms=500),
    RATE_LIMITED: Error("too many requests: slow down", 429, True, retry_after_ms=1_000),
    UNAVAILABLE: Error(
        "the outcome is unknown: send the same request with the same key again", 503, True, retry_after_ms=500,
        outcome_unknown=True,
    ),
}  # fmt: skip


def details_of(code: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in addition to code and text: those known, and the ``retry_after_ms`` of the code."""
    found = {name: value for name, value in known.items() if value is not None}
    retry_after_ms = ERRORS[code].retry_after_ms
    if retry_after_ms is not None:
        found.setdefault("retry_after_ms", retry_after_ms)
    return found
