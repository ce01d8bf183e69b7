"""The catalogue of errors for clients: docs/errors.md is made from it (``python -m gateway.http.error_catalogue``)."""

import sys
from collections.abc import Iterator

import msgspec

from domain import errors
from domain.errors import ERRORS, Error

TYPE_PREFIX = "urn:ece:problem:"

# What to do about an error, where the rule of its status says too little.
ACTIONS = {
    errors.ALREADY_LEADING: "Nothing: you lead. To raise your maximum, bid more than it.",
    errors.BID_TOO_LOW: "Bid at least `minimum`, with a new key.",
    errors.INSUFFICIENT_FUNDS: "Deposit what is missing of `required`, then send it again with a new key.",
    errors.UNKNOWN_CURRENCY: "Use one of `currencies`.",
    errors.SECOND_FACTOR_REQUIRED: "Ask the user for a code, and send it again with `code` and the same key.",
    errors.SECOND_FACTOR_INVALID: "Ask the user for the next code, and send it again with the same key.",
    errors.CHALLENGE_EXPIRED: "Begin again: ask for a new challenge.",
    errors.STALE_TERMS: "Read the terms as they are now, and decide again.",
    errors.IDEMPOTENCY_KEY_MISSING: "Add the header `Idempotency-Key`.",
    errors.KEY_REUSED: "Use a new key for each new request; the same key only for a repetition.",
    errors.INVALID_CURSOR: "Begin with the first page again; change no filter between pages.",
    errors.INVALID_FRAME: "Correct the frame: the message says what is wrong.",
    errors.METHOD_NOT_ALLOWED: "Use a method of the header `Allow`.",
    errors.RANGE_NOT_SATISFIABLE: "Ask for a range within the size that `Content-Range` says.",
    errors.REQUEST_TIMEOUT: "Send the whole request within the time; the same key is safe.",
    errors.USERNAME_TAKEN: "Choose another name.",
    errors.ACCOUNT_IN_USE: "Settle what `blockers` names, and ask again.",
    errors.EMAIL_TAKEN: "Log in, or use another address.",
}
# By status: whether a repetition may help, and what to do.
_BY_STATUS = {
    400: "Correct the request.",
    401: "Get a new access token (`auth/refresh`, `auth/login`), and send it again.",
    403: "Don't send it again: the caller may not do this.",
    404: "Check the id or the path.",
    405: "Correct the request.",
    409: "Read the state again, and decide again; what comes of it needs a new key.",
    413: "Send less.",
    415: "Send another type.",
    422: "Correct the request; it needs a new key.",
    431: "Send fewer and smaller headers.",
}
_UNKNOWN = "Send the same request again, with the same key: it has its effect once."
_LATER = "Wait for `retry_after_ms`, then send it again; the same key is safe."
_FAULT = "Send it again with the same key; if it stays, tell the operator the `request_id`."

HEAD = """# Errors

Every error that clients can get, over REST (RFC 9457 problem details, with `type` = `urn:ece:problem:` and the code)
and over the WebSocket (`error: {code, message, …}`). A code is stable: it is neither renamed nor used for something
else without a new version of the API ([versions](protocol.md#versions)). Its text may change. This page is made from
the catalogue in `domain/errors.py`; a running gateway serves the same as JSON at `GET /api/v1/errors`.

**Retry**: `no`: the same request has the same answer. `later`: it may succeed later, and the first one had no effect.
`same key`: nobody knows whether the first one had its effect, so send it again, with the same `Idempotency-Key`, or
`key` on the WebSocket.

| code | status | WebSocket | fields | meaning | retry | what to do |
|---|---|---|---|---|---|---|
"""


class Described(msgspec.Struct, frozen=True):
    """An error for clients. ``status`` is None if REST never sends it; ``retry`` is no, later or same key."""

    code: str
    type: str
    status: int | None
    websocket: bool
    fields: list[str]
    meaning: str
    retry: str
    action: str


def described(code: str, error: Error) -> Described:
    """What clients are told about one row of the catalogue."""
    fields = [*error.fields, *(() if error.retry_after_ms is None else ("retry_after_ms",))]
    return Described(
        code, TYPE_PREFIX + code, error.status, error.socket, fields, error.text, _retry(error), _action(code, error)
    )


def catalogue() -> list[Described]:
    """All errors, by code."""
    return [described(code, error) for code, error in sorted(ERRORS.items())]


def page() -> str:
    """docs/errors.md."""
    return HEAD + "\n".join(_rows()) + "\n"


def _rows() -> Iterator[str]:
    for one in catalogue():
        cells = (
            f"`{one.code}`", "" if one.status is None else str(one.status), "yes" if one.websocket else "",
            ", ".join(f"`{field}`" for field in one.fields), one.meaning, one.retry, one.action,
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _retry(error: Error) -> str:
    if error.outcome_unknown:
        return "same key"
    return "no" if error.retry_after_ms is None and error.status != 408 else "later"


def _action(code: str, error: Error) -> str:
    if code in ACTIONS:
        return ACTIONS[code]
    if error.outcome_unknown:
        return _FAULT if error.retry_after_ms is None else _UNKNOWN
    if error.retry_after_ms is not None:
        return _LATER
    assert error.status is not None, f"{code} needs an entry in ACTIONS"
    return _BY_STATUS[error.status]


if __name__ == "__main__":
    sys.stdout.write(page())
