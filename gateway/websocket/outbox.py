"""The outbox of one socket: replies, errors, updates and the close, within bounds."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from actors.stream.messages import Refused
from domain import errors
from gateway.websocket.admission import Share
from gateway.websocket.close_codes import CLOSE_TOO_SLOW
from gateway.websocket.connection import Connection, SessionLimits
from gateway.websocket.traffic import Traffic
from gateway.wire.codec import Codec
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import ErrorReply

NO_DETAILS: Mapping[str, Any] = {}
# The error `overloaded` is encoded again at this interval, with a new `server_time`.
OVERLOADED_REUSED_S = 0.001


class Outbox:
    """Everything that is written to one socket. ``closed_with`` is the code that the server closed it with."""

    def __init__(
        self, connection: Connection, codec: Codec, share: Share, limits: SessionLimits, traffic: Traffic,
        now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self.codec = codec
        self.unsent_bytes = connection.unsent_bytes
        self.updates_unsent_max = min(limits.updates_unsent_bytes_max, limits.unsent_bytes_max)
        self.closed_with: int | None = None
        self._connection = connection
        self._share = share
        self._unsent_max = limits.unsent_bytes_max
        self._traffic = traffic
        self._now_ms = now_ms
        self._overloaded_at_s = 0.0
        self._overloaded_error = msgspec.Raw()

    # -- replies

    def answer(self, op: str, outcome: str, answer: Any, *, more_to_come: bool = False) -> None:
        """Write immediately if no other answers are expected, otherwise with the other answers of this turn.

        ``outcome`` is OK or the error's code.
        """
        traffic = self._traffic
        traffic.answered[op, outcome] += 1
        frame = self.codec.frame(answer)
        if self.unsent_bytes() > self._unsent_max:
            self.too_slow()
            return
        traffic.sent_frames += 1
        traffic.sent_bytes += len(frame)
        if more_to_come or self._share.in_flight:
            self._connection.write_soon(frame)
        else:
            self._connection.write_frame(frame)

    def fail(
        self, op: str, request_id: int | str | None, code: str, message: str = "",
        details: Mapping[str, Any] = NO_DETAILS,
    ) -> None:  # fmt: skip
        """An error, with those of the details that its code has (domain/errors.py)."""
        if code == errors.KEY_REUSED:
            code, message = errors.INVALID_FRAME, errors.ERRORS[errors.KEY_REUSED].text
        self.answer(op, code, {"id": request_id, "ok": False, "error": self._error(code, message, details)})

    def failed(self, op: str, request_id: int | str, failure: RequestFailed) -> None:
        """The error of a request that failed in this gateway."""
        self.fail(op, request_id, failure.code, str(failure), failure.details)

    def refused(self, op: str, request_id: int | str, refused: Refused) -> None:
        """The error of a command that its host refused."""
        # A newer host may have other codes: a retry with the same key is always safe.
        code = refused.code if refused.code in errors.ERRORS else errors.UNAVAILABLE
        self.fail(op, request_id, code, "", refused.known())

    def overloaded(self, op: str, request_id: int | str) -> None:
        """The error ``overloaded``; cached, since under overload there are many."""
        now_s = time.perf_counter()
        if now_s - self._overloaded_at_s > OVERLOADED_REUSED_S:
            self._overloaded_at_s = now_s
            self._overloaded_error = msgspec.Raw(self.codec.encode(self._error(errors.OVERLOADED, "", NO_DETAILS)))
        # As ``answer`` does, but bounds are checked once for the commands of a turn.
        if self._connection.pause() and not self.within_bounds():
            return
        frame = self.codec.frame(ErrorReply(request_id, False, self._overloaded_error))
        traffic = self._traffic
        traffic.answered[op, errors.OVERLOADED] += 1
        traffic.sent_frames += 1
        traffic.sent_bytes += len(frame)
        self._connection.write_soon(frame)

    def _error(self, code: str, message: str, details: Mapping[str, Any]) -> dict[str, Any]:
        """An error with the time of its decision."""
        error = {"code": code, "message": message or errors.ERRORS[code].text, "server_time": self._now_ms()}
        error.update(errors.details_of(code, details))
        return error

    # -- writing

    def push(self, frame: bytes) -> None:
        """Write immediately. A client that does not read is closed: it reconnects and resumes."""
        if self.within_bounds():
            self._write(frame)

    def notify(self, frame: bytes) -> bool:
        """Write an update; False, and nothing is written, if too much waits for the client."""
        if self.unsent_bytes() <= self.updates_unsent_max:
            self._write(frame)
            return True
        self.within_bounds()
        return False

    def _write(self, frame: bytes) -> None:
        self._traffic.sent_frames += 1
        self._traffic.sent_bytes += len(frame)
        self._connection.write_frame(frame)

    # -- the end

    def within_bounds(self) -> bool:
        """Whether the client reads fast enough; otherwise it is closed."""
        if self.unsent_bytes() > self._unsent_max:
            self.too_slow()
            return False
        return True

    def too_slow(self) -> None:
        """Close a client that does not read."""
        self.close(CLOSE_TOO_SLOW, "too slow: reconnect and resume")

    def close(self, code: int, reason: str) -> None:
        """Close the socket; of several codes the first counts."""
        self.closed_with = self.closed_with or code
        self._connection.close(code, reason)
