"""One RPC server as the client sees it: whether it can be used, and what it has said."""

import asyncio
from typing import Literal

import msgspec

from chain.rpc.addresses import EndpointAddress
from chain.rpc.errors import AccessDenied, ChainError, ForeignChain, NodeBehind, RateLimited
from chain.rpc.limits import RpcLimits, TokenBucket

State = Literal["unknown", "healthy", "lagging", "failing", "rate_limited", "foreign", "denied"]

# An endpoint that failed comes after the others for so long, and longer each time.
REST_FIRST_S, REST_MAX_S = 0.5, 15.0
# One of another chain, or without access, is not asked at all for so long.
CLOSED_S = 60.0
RETRY_AFTER_MAX_S = 60.0
_LATENCY_SMOOTHING = 0.8


class EndpointStatus(msgspec.Struct, frozen=True):
    """For operators. ``lag``: slots behind the best endpoint; ``latency_ms``: of answers, smoothed."""

    name: str
    state: State
    slot: int | None
    lag: int | None
    latency_ms: float | None
    calls: int
    failures: int
    last_error: str | None


class Endpoint:
    """Times are those of the event loop. ``genesis`` None: it has to say which chain it belongs to."""

    def __init__(self, address: EndpointAddress, limits: RpcLimits, now: float) -> None:
        self.address = address
        self.bucket = TokenBucket(address.rate, now)
        self.places = asyncio.Semaphore(limits.in_flight_max)
        self.identifying = asyncio.Lock()
        self.genesis: str | None = None
        self.slot: int | None = None
        self.lag: int | None = None
        self.calls = 0
        self.failures = 0
        self.last_error: str | None = None
        self._lag_max = limits.lag_slots_max
        self._in_a_row = 0
        self._rests_until = 0.0
        self._closed_until = 0.0
        self._closed: State = "failing"
        self._latency_ms: float | None = None
        self._answered = False

    def took(self, seconds: float) -> None:
        """It answered after this time."""
        took_ms = seconds * 1_000
        before = took_ms if self._latency_ms is None else self._latency_ms
        self._latency_ms = _LATENCY_SMOOTHING * before + (1 - _LATENCY_SMOOTHING) * took_ms

    def succeeded(self, *, recovered: bool) -> None:
        """It gave an answer that can be used; ``recovered``: earlier failures are over."""
        self._answered = True
        if recovered:
            self._in_a_row, self._rests_until = 0, 0.0

    def failed(self, error: ChainError, now: float) -> None:
        """Use others first for a while, or do not ask it at all."""
        self.failures += 1
        self.last_error = str(error)
        if isinstance(error, RateLimited):
            self._close("rate_limited", now + min(error.retry_after_s, RETRY_AFTER_MAX_S))
        elif isinstance(error, ForeignChain):
            self._close("foreign", now + CLOSED_S)
        elif isinstance(error, AccessDenied):
            self._close("denied", now + CLOSED_S)
        else:
            self._in_a_row += 1
            self._rests_until = now + min(REST_MAX_S, REST_FIRST_S * 2 ** min(self._in_a_row - 1, 10))
            if not isinstance(error, NodeBehind):
                # What comes back may be another node.
                self.genesis = None

    def _close(self, state: State, until: float) -> None:
        self._closed, self._closed_until = state, until
        if state != "rate_limited":
            self.genesis = None

    def closed_for_s(self, now: float) -> float:
        """How long it must not be asked."""
        return max(0.0, self._closed_until - now)

    def rank(self, now: float) -> tuple[float, ...]:
        """The lowest is asked first: those that work, then those that lag, then those that failed."""
        return (max(0.0, self._rests_until - now), float((self.lag or 0) > self._lag_max))

    def state(self, now: float) -> State:
        if self.closed_for_s(now):
            return self._closed
        if self._rests_until > now:
            return "failing"
        if (self.lag or 0) > self._lag_max:
            return "lagging"
        return "healthy" if self._answered else "unknown"

    def status(self, now: float) -> EndpointStatus:
        """How it stands."""
        latency = None if self._latency_ms is None else round(self._latency_ms, 2)
        return EndpointStatus(
            self.address.name, self.state(now), self.slot, self.lag, latency, self.calls, self.failures,
            self.last_error,
        )  # fmt: skip
