"""Errors as RFC 9457 problem details, with the wire's codes (docs/protocol.md).

``{"type", "title", "status", "detail", "code", …}`` as ``application/problem+json``. Malformed JSON is a 400, a body
or parameter that says the wrong thing is a 422; both have the code ``invalid_request`` and, where it helps,
``errors: [{"at", "detail"}]``. What a client sent is never quoted back, nor what went wrong inside.
"""

import json
import math
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from actors.messages import Refused
from gateway.identity.attempts import TooManyAttempts
from gateway.identity.passwords import PasswordsBusy
from gateway.identity.tokens import TokenError
from persistence.errors import StoreError

MEDIA_TYPE = "application/problem+json"
ERRORS_MAX = 20
RETRY_AFTER_S = 1

# The statuses of all codes that REST answers with.
STATUSES = {
    "invalid_request": 422,
    "idempotency_key_missing": 400,
    "invalid_cursor": 400,
    "unauthenticated": 401,
    "unknown_currency": 422,
    "forbidden": 403,
    "faucet_off": 403,
    "own_auction": 403,
    "not_found": 404,
    "card_not_found": 404,
    "copy_not_found": 404,
    "not_your_copy": 403,
    "copy_not_free": 409,
    "edition_full": 409,
    "not_settled": 409,
    "sale_cancelled": 409,
    "copy_moved_on": 409,
    "offer_ended": 409,
    "no_runner_up": 409,
    "copies_not_locked": 409,
    "method_not_allowed": 405,
    "auction_closed": 409,
    "auction_not_open": 409,
    "has_bids": 409,
    "buy_now_gone": 409,
    "bid_too_low": 409,
    "already_leading": 409,
    "insufficient_funds": 409,
    "balance_too_large": 409,
    "deposit_too_large": 422,
    "withdrawal_too_large": 409,
    "daily_limit_reached": 409,
    "withdrawal_decided": 409,
    "username_taken": 409,
    "email_taken": 409,
    "watch_list_full": 409,
    "saved_searches_full": 409,
    "still_running": 409,
    "request_too_large": 413,
    "unsupported_media_type": 415,
    "key_reused": 422,
    "rate_limited": 429,
    "cooling_down": 429,
    "internal_error": 500,
    "overloaded": 503,
    "unavailable": 503,
}

DETAILS = {
    "forbidden": "you may not do this",
    "own_auction": "nobody may bid in their own auction",
    "not_found": "there is no such thing",
    "card_not_found": "there is no such card",
    "copy_not_found": "there is no such copy",
    "not_your_copy": "this copy is somebody else's",
    "copy_not_free": "this copy is listed, in a trade or withdrawn",
    "edition_full": "the card's edition has no room for so many",
    "not_settled": "the auction was not sold, or its sale is not settled yet",
    "sale_cancelled": "this sale was taken back before",
    "copy_moved_on": "what was sold is not its buyer's any more, or not free",
    "offer_ended": "this offer was accepted or declined, or its time is over",
    "no_runner_up": "nobody else has bid enough",
    "copies_not_locked": "the copies are not with this auction any more",
    "auction_closed": "the auction has ended",
    "auction_not_open": "the auction has not started yet",
    "has_bids": "the auction has bids, so it can't be cancelled any more",
    "buy_now_gone": "the auction can't be bought at once, or not any more",
    "bid_too_low": "the bid is below the minimum",
    "already_leading": "you lead, and this is not above your own maximum",
    "unknown_currency": "there is no such currency",
    "faucet_off": "this engine has no faucet: it does not give money away",
    "deposit_too_large": "the faucet does not give so much at once",
    "balance_too_large": "no balance can be that large",
    "withdrawal_too_large": "no withdrawal can be that large",
    "daily_limit_reached": "with this, more would be withdrawn in a day than may be",
    "withdrawal_decided": "this was decided already",
    "cooling_down": "the last withdrawal was a moment ago",
    "insufficient_funds": "the balance does not cover this",
    "key_reused": "this key was used for something else",
    "still_running": "a request with this Idempotency-Key is still running",
    "overloaded": "too much at once: nothing happened, try again in a moment",
    "unavailable": "the outcome is unknown: send the same request with the same key again",
    "rate_limited": "too many requests",
    "internal_error": "something went wrong here; it was logged",
    "method_not_allowed": "this address does not take this method",
    "request_too_large": "the body is too large",
}

log = structlog.get_logger(__name__)


class Problem(Exception):
    """An answer that is an error. ``extra`` members stand beside the standard ones."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status = STATUSES.get(code, 500) if status is None else status
        self.detail = detail or DETAILS.get(code, code.replace("_", " "))
        self.headers = dict(headers or {})
        self.extra = {name: value for name, value in extra.items() if value is not None}
        if self.status in (429, 503) or code == "still_running":
            seconds = math.ceil(self.extra.get("retry_after_ms", RETRY_AFTER_S * 1000) / 1000)
            self.headers.setdefault("Retry-After", str(max(1, seconds)))
        if self.status == 401:
            self.headers.setdefault("WWW-Authenticate", "Bearer")

    def body(self) -> bytes:
        """The problem details."""
        members = {
            "type": f"urn:ece:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        return json.dumps(members | self.extra).encode()

    def response(self) -> Response:
        """The HTTP answer."""
        return Response(self.body(), self.status, self.headers, MEDIA_TYPE)


def refusal_problem(refused: Refused) -> Problem:
    """What a host refused, with what it was decided on."""
    code = refused.code if refused.code in STATUSES else "unavailable"
    return Problem(
        code,
        price=refused.price,
        minimum=refused.minimum,
        server_time=refused.server_time,
        retry_after_ms=refused.retry_after_ms,
    )


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(StoreError, _store_error)
    app.add_exception_handler(TokenError, _own_error)
    app.add_exception_handler(PasswordsBusy, _own_error)
    app.add_exception_handler(TooManyAttempts, _too_many)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _store_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)
    if error.code == "unavailable":
        # What the database said is for us alone.
        log.warning("store_unavailable", error=str(error))
        return Problem("unavailable").response()
    return Problem(error.code, str(error)).response()


async def _own_error(_request: Request, error: Exception) -> Response:
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'} if isinstance(error, TokenError) else None
    code: str = getattr(error, "code", "internal_error")
    return Problem(code, str(error), headers=headers).response()


async def _too_many(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TooManyAttempts)
    headers = {
        "RateLimit-Policy": f'"attempts";q={error.burst};w={error.window_s}',
        "RateLimit": f'"attempts";r=0;t={math.ceil(error.retry_after_ms / 1000)}',
    }
    return Problem(error.code, str(error), headers=headers, retry_after_ms=error.retry_after_ms).response()


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(fault["type"] == "json_invalid" for fault in found):
        return Problem("invalid_request", "the body is not JSON", status=400).response()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if any(fault["loc"] == ("body",) for fault in found) and media_type != "application/json":
        return Problem("unsupported_media_type", "the body must be application/json").response()
    errors = [{"at": _place(fault["loc"]), "detail": fault["msg"]} for fault in found[:ERRORS_MAX]]
    summary = "; ".join(f"{fault['at']}: {fault['detail']}" for fault in errors[:3])
    return Problem("invalid_request", summary, errors=errors).response()


def _place(location: tuple[int | str, ...]) -> str:
    # Names of unknown fields are the client's own words: short ones help, long ones don't.
    return "/".join(str(part)[:64] for part in location)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}
    headers = dict(error.headers or {})
    if error.status_code in codes:
        return Problem(codes[error.status_code], headers=headers).response()
    if error.status_code >= 500:
        return Problem("internal_error", status=error.status_code, headers=headers).response()
    return Problem("invalid_request", "the request can't be read", status=error.status_code, headers=headers).response()
