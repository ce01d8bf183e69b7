"""Errors of client frames and requests."""

from typing import Any


class InvalidFrame(Exception):
    """The frame can be read but is not one of the protocol. ``request_id`` is its id, if it has a valid one."""

    def __init__(self, message: str, request_id: int | str | None) -> None:
        super().__init__(message)
        self.request_id = request_id


class BrokenFrame(Exception):
    """The frame is not msgpack or JSON: the connection is closed."""


class RequestFailed(Exception):
    """The request is answered with the error ``code`` (domain/errors.py), and the message or the code's text.

    ``details`` are fields of that error.
    """

    def __init__(self, code: str, message: str = "", retry_after_ms: int | None = None, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.details = {"retry_after_ms": retry_after_ms, **details}
