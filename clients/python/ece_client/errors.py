"""What can go wrong, as one tree of exceptions.

`Refused` is the server's answer that nothing happened. Only after `OutcomeUnknown` may a command have been carried out.
"""

from collections.abc import Mapping
from typing import Any

# Codes after which the same request with the same key is sent again.
OUTCOME_UNKNOWN_CODES = frozenset({"unavailable", "internal_error"})
NOT_NOW_CODES = frozenset({"overloaded", "rate_limited", "still_running"})
# Decided before the key is looked up: such a refusal says nothing of an earlier attempt under the same key.
ACCESS_CODES = frozenset({"unauthenticated", "forbidden", "email_not_verified"})
# 4500–4999 mean "do not reconnect". 1006 stands for a connection that ended without a close frame.
CLOSE_CODES_FINAL = range(4500, 5000)
CLOSE_CODE_ABNORMAL = 1006
CLOSE_CODE_TOKEN = 4501


class EceError(Exception):
    """The base of all errors of this package."""

    # The time that the server asks to wait, in seconds; 0 where it names none.
    retry_after_s: float = 0.0


class Refused(EceError):
    """The server refused. `details` has the fields of the code, such as `price` and `minimum` of `bid_too_low`.

    Nothing happened, except after the codes `unavailable` and `internal_error`, which commands with a key retry.
    `status` is that of the HTTP response, None on the socket.
    """

    def __init__(self, code: str, message: str, details: Mapping[str, Any], status: int | None = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.details = details
        self.status = status
        retry_after_ms = details.get("retry_after_ms")
        if isinstance(retry_after_ms, int | float) and retry_after_ms > 0:
            self.retry_after_s = retry_after_ms / 1000

    @property
    def outcome_unknown(self) -> bool:
        """The server does not know whether the command was carried out."""
        return self.code in OUTCOME_UNKNOWN_CODES

    @property
    def retryable(self) -> bool:
        """The same request with the same key may succeed later."""
        return self.code in OUTCOME_UNKNOWN_CODES or self.code in NOT_NOW_CODES


class ConnectionLost(EceError):
    """The connection ended with this close code, or could not be made.

    `sent`: a request was sent on it and not answered. Its outcome is unknown.
    """

    def __init__(self, code: int, reason: str = "", *, sent: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(f"connection closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason
        self.sent = sent
        self.retry_after_s = retry_after_s

    @property
    def final(self) -> bool:
        """The server asks not to reconnect before the client has changed something, such as its token."""
        return self.code in CLOSE_CODES_FINAL


class NotAnswered(EceError):
    """No answer within the deadline. `sent`: the request went out, so its outcome is unknown."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class OutcomeUnknown(EceError):
    """The deadline passed, or access was lost, before the outcome was known. Send the same `key` again to learn it."""

    def __init__(self, key: str, last: Exception) -> None:
        super().__init__(f"the outcome of the command with the key {key} is unknown: {last}")
        self.key = key
        self.last = last


class UnexpectedAnswer(EceError):
    """An answer does not have the documented form."""


class Closed(EceError):
    """The client or the feed was closed."""
