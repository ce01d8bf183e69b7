"""What the client asks of endpoints at most: deadlines, calls at once, and calls a second."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """``request_s``: of one request; ``call_s``: of a call with all its attempts.

    ``in_flight_max``: requests to one endpoint at once; ``waiting_max``: calls that are made at once, to all.
    ``lag_slots_max``: an endpoint that is further behind the best one is used only if no other works.
    ``probe_s``: how often several endpoints are compared.
    """

    request_s: float = 10.0
    call_s: float = 15.0
    in_flight_max: int = 32
    waiting_max: int = 2_000
    lag_slots_max: int = 25
    probe_s: float = 5.0


class TokenBucket:
    """``rate`` calls a second on average, and up to ``burst`` at once. Without a rate there is no limit."""

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._burst = max(1.0, rate or 1.0)
        self._tokens = self._burst
        self._at = now

    def take(self, now: float) -> float:
        """Take a token. Returns how long to wait before the call; the token is taken already."""
        if self._rate is None:
            return 0.0
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def give_back(self) -> None:
        """The call was not made."""
        if self._rate is not None:
            self._tokens += 1
