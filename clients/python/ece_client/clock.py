"""The server's clock, which decides when an auction ends, estimated from answers that carry it."""

import time
from collections import deque

SAMPLES_MAX = 16


class ServerClock:
    """The offset of the server's clock from this machine's, by the samples with the shortest round trip.

    The true offset is within `error_ms` of the estimate, as long as both clocks run at the same rate.
    """

    def __init__(self) -> None:
        # (round trip in ms, offset in ms)
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES_MAX)

    def observe(self, sent_s: float, received_s: float, server_ms: int) -> None:
        """An answer with `server_ms` to a request; the two times are of `time.time()`."""
        round_trip_ms = (received_s - sent_s) * 1000
        if round_trip_ms < 0:
            return  # this machine's clock was set back in between
        self._samples.append((round_trip_ms, server_ms - (sent_s + received_s) * 500))

    @property
    def offset_ms(self) -> float:
        """Add it to this machine's time to get the server's; 0 before the first sample."""
        return min(self._samples)[1] if self._samples else 0.0

    @property
    def error_ms(self) -> float | None:
        """The bound of the estimate's error; None before the first sample."""
        return min(self._samples)[0] / 2 + 1 if self._samples else None

    def now_ms(self) -> int:
        """The server's time now, in ms since the Unix epoch."""
        return round(time.time() * 1000 + self.offset_ms)
