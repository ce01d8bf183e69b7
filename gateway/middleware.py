"""What happens around every HTTP request: limits, headers, metrics, and the last resort for exceptions."""

import time

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import Problem

DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# The page of the interactive docs loads its script and style from FastAPI's default place.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; connect-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; frame-ancestors 'none'"
)
DOCS_PATHS = frozenset({"/docs"})
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

log = structlog.get_logger(__name__)


class Frontdoor:
    """Outermost: bounds how many requests and bytes come in, sets headers, counts, and never lets an exception out."""

    def __init__(self, app: ASGIApp, *, requests_max: int, body_bytes_max: int, registry: CollectorRegistry) -> None:
        self._app = app
        self._places = requests_max
        self._body_bytes_max = body_bytes_max
        self._requests = Counter(
            "ece_http_requests_total", "HTTP requests answered", ["method", "route", "status"], registry=registry
        )
        self._under_way = Gauge("ece_http_requests_under_way", "HTTP requests being served", registry=registry)
        self._turned_away = Counter(
            "ece_http_requests_turned_away_total", "HTTP requests for which there was no place", registry=registry
        )
        self._duration = Histogram(
            "ece_http_request_duration_seconds",
            "Time to answer a request",
            ["method", "route"],
            registry=registry,
            buckets=DURATION_BUCKETS_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "other"
        if method == "HEAD":
            # Answered as GET; the server leaves the body out (RFC 9110, 9.3.2).
            scope = {**scope, "method": "GET"}
        answer = _Answer(send, scope["path"])
        began = time.perf_counter()
        try:
            await self._admit(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", UNMATCHED)
            self._requests.labels(method, route, str(answer.status)).inc()
            self._duration.labels(method, route).observe(time.perf_counter() - began)

    async def _admit(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if self._places == 0:
            self._turned_away.inc()
            await Problem("overloaded").response()(scope, receive, answer.send)
            return
        self._places -= 1
        self._under_way.inc()
        try:
            await self._app(scope, _bounded(scope, receive, self._body_bytes_max), answer.send)
        except Exception:
            log.exception("request_failed", method=scope["method"], path=scope["path"])
            if not answer.started:
                await Problem("internal_error").response()(scope, receive, answer.send)
        finally:
            self._places += 1
            self._under_way.dec()


class _Answer:
    """Adds the headers that every answer has, and remembers its status."""

    def __init__(self, send: Send, path: str) -> None:
        self._send = send
        self._policy = DOCS_POLICY if path in DOCS_PATHS else API_POLICY
        self.started = False
        self.status = 500

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Content-Security-Policy", self._policy)
        await self._send(message)


def _bounded(scope: Scope, receive: Receive, bytes_max: int) -> Receive:
    """Reads the body up to a limit; past it, whoever reads gets a 413."""
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    too_large = not announced.isdigit() or len(announced) > 12 or int(announced) > bytes_max
    received = 0

    async def bounded() -> Message:
        nonlocal received
        if too_large:
            raise HTTPException(413)
        message = await receive()
        received += len(message.get("body", b""))
        if received > bytes_max:
            raise HTTPException(413)
        return message

    return bounded
