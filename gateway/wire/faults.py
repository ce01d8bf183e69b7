"""Why a client's frame is not accepted, or its request not served."""


class InvalidFrame(Exception):
    """The frame can be read but is not one of the protocol. ``request_id`` is its id, if it has a valid one."""

    def __init__(self, message: str, request_id: int | str | None) -> None:
        super().__init__(message)
        self.request_id = request_id


class BrokenFrame(Exception):
    """The frame is not even msgpack or JSON: the connection can't go on."""


class RequestFailed(Exception):
    """The request is answered with the error ``code`` (domain/errors.py), and its text where there is no message."""

    def __init__(self, code: str, message: str = "", retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_ms = retry_after_ms
