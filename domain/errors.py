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
WITHDRAWAL_DECIDED = "withdrawal_decided"
WITHDRAWAL_TOO_LARGE = "withdrawal_too_large"
# Cards, copies, sales.
CARD_NOT_FOUND = "card_not_found"
COPIES_NOT_LOCKED = "copies_not_locked"
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
# Users and what they keep.
EMAIL_TAKEN = "email_taken"
SAVED_SEARCHES_FULL = "saved_searches_full"
USERNAME_TAKEN = "username_taken"
WATCH_LIST_FULL = "watch_list_full"
# Requests.
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
    WITHDRAWAL_DECIDED: Error("this was decided already", 409),
    WITHDRAWAL_TOO_LARGE: Error("no withdrawal can be that large", 409, False, _MAXIMUM),
    CARD_NOT_FOUND: Error("there is no such card", 404, False, _CARD),
    COPIES_NOT_LOCKED: Error("the copies are not with this auction any more", 409),
    COPY_MOVED_ON: Error("what was sold is not its buyer's any more, or not free", 409),
    COPY_NOT_FOUND: Error("there is no such copy", 404, False, _COPY),
    COPY_NOT_FREE: Error("this copy is listed, in a trade or withdrawn", 409, False, _COPY),
    EDITION_FULL: Error("the card's edition has no room for so many", 409, False, _CARD),
    NO_RUNNER_UP: Error("nobody else has bid enough", 409),
    NOT_SETTLED: Error("the auction was not sold, or its sale is not settled yet", 409),
    NOT_YOUR_COPY: Error("this copy is somebody else's", 403, False, _COPY),
    OFFER_ENDED: Error("this offer was accepted or declined, or its time is over", 409),
    QUOTA_EXCEEDED: Error(
        "a seller may not have more such auctions at present", 429, False, ("quota", "limit"), retry_after_ms=60_000
    ),
    SALE_CANCELLED: Error("this sale was taken back before", 409),
    EMAIL_TAKEN: Error("another user has this address", 409),
    SAVED_SEARCHES_FULL: Error("nobody can keep so many searches: delete some", 409),
    USERNAME_TAKEN: Error("another user has this name", 409),
    WATCH_LIST_FULL: Error("nobody can watch so many things: stop watching some", 409),
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
    STILL_RUNNING: Error("a request with this Idempotency-Key is still running", 409, retry_after_ms=1_000),
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
