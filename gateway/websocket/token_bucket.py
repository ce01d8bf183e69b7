"""The rate limit of one socket: commands a second, a burst, and a limit of violations."""

import time

VIOLATIONS_MAX = 1_000
VIOLATIONS_RESET_S = 10.0


class TokenBucket:
    """A token bucket, and a count of commands while it was empty."""

    __slots__ = ("_burst", "_per_s", "_refilled_at", "_tokens", "_violated_at", "_violations")

    def __init__(self, per_s: int, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._refilled_at = time.monotonic()
        self._violations = 0
        self._violated_at = 0.0

    def take(self) -> bool:
        """Take a token for a command; False: the bucket is empty."""
        tokens = self._tokens - 1.0
        if tokens < 0.0:
            now = time.monotonic()
            tokens = min(self._burst, tokens + (now - self._refilled_at) * self._per_s)
            self._refilled_at = now
            if tokens < 0.0:
                self._tokens = tokens + 1.0
                return False
        self._tokens = tokens
        return True

    def violation(self) -> bool:
        """Count a command beyond the rate; True: more than VIOLATIONS_MAX without a long pause between."""
        now = time.monotonic()
        # Violations with long pauses between them don't add up.
        self._violations = self._violations + 1 if now - self._violated_at < VIOLATIONS_RESET_S else 1
        self._violated_at = now
        return self._violations > VIOLATIONS_MAX

    @property
    def retry_after_ms(self) -> int:
        """The time until the next token (ms)."""
        return max(1, 1000 // self._per_s)
