"""How many commands one socket may send: so many a second, more at once, and an end to patience."""

import time

STRIKES_MAX = 1_000
STRIKES_FORGOTTEN_S = 10.0


class Allowance:
    """A bucket of tokens that fills with time, and a count of what came when it was empty."""

    __slots__ = ("_burst", "_left", "_per_s", "_refilled_at", "_strikes", "_struck_at")

    def __init__(self, per_s: int, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._left = float(burst)
        self._refilled_at = time.monotonic()
        self._strikes = 0
        self._struck_at = 0.0

    def take(self) -> bool:
        """Whether one more command may come."""
        left = self._left - 1.0
        if left < 0.0:
            now = time.monotonic()
            left = min(self._burst, left + (now - self._refilled_at) * self._per_s)
            self._refilled_at = now
            if left < 0.0:
                self._left = left + 1.0
                return False
        self._left = left
        return True

    def strike(self) -> bool:
        """Note a command that was one too many; whether there were so many of late that it is a flood."""
        now = time.monotonic()
        # A client that is now and then too quick may live for ever.
        self._strikes = self._strikes + 1 if now - self._struck_at < STRIKES_FORGOTTEN_S else 1
        self._struck_at = now
        return self._strikes > STRIKES_MAX

    @property
    def retry_after_ms(self) -> int:
        """When the next token is there."""
        return max(1, 1000 // self._per_s)
