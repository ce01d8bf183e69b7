"""The middleware of all HTTP requests: limits, headers, metrics, and a handler of unexpected exceptions."""

import re
import time
import uuid
from collections.abc import Callable, Mapping

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import INTERNAL_ERROR, OVERLOADED, RATE_LIMITED, REQUEST_TOO_LARGE
from gateway.http.address_limit import AddressLimit
from gateway.http.client import CLIENT, Client
from gateway.http.problems import Problem
from persistence.audit.trail import ORIGIN, Origin

DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
UNMATCHED = "unmatched"
# The label instead of a status: the client disconnected, or its body did not arrive.
NOT_ANSWERED = "none"
HEALTH_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# The page of the interactive docs loads its script and style from FastAPI's default path.
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
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

# For browsers that have come over TLS: no other way for a year.
STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"
REQUEST_ID = "X-Request-Id"
_REQUEST_ID_FORM = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# The key of a scope for headers that an answer gets whatever becomes of its request.
ADDED_HEADERS = "ece.headers"

log = structlog.get_logger(__name__)


class Frontdoor:
    """The outermost middleware: limits requests and bytes, sets headers, counts, and handles all exceptions.

    A request takes a slot when it has arrived as a whole, and gives it back when its response begins, so slow clients
    hold none; streamed requests take one when they begin. Health checks need no slot.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        requests_max: int,
        body_bytes_max: int,
        by_address: AddressLimit,
        registry: CollectorRegistry,
        streamed: Mapping[str, int],
    ) -> None:
        """``streamed``: paths with larger bodies, and their limits: those routes read a body piece by piece."""
        self._app = app
        self._slots = requests_max
        self._by_address = by_address
        self._body_bytes_max = body_bytes_max
        self._streamed = streamed
        self._requests = Counter(
            "ece_http_requests_total", "HTTP requests answered", ["method", "route", "status"], registry=registry
        )
        self._in_flight = Gauge("ece_http_requests_in_flight", "HTTP requests being served", registry=registry)
        self._rejected = Counter(
            "ece_http_requests_rejected_total", "HTTP requests for which there was no room", registry=registry
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
        client = Client(scope)
        answer = _Answer(send, scope, request_id := _request_id(scope), client)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        origin = ORIGIN.set(Origin(scope["client"][0] if scope.get("client") else None, request_id))
        sender = CLIENT.set(client)
        began = time.perf_counter()
        try:
            await self._admit(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", UNMATCHED)
            self._requests.labels(method, route, answer.status).inc()
            self._duration.labels(method, route).observe(time.perf_counter() - began)
            structlog.contextvars.unbind_contextvars("request_id")
            ORIGIN.reset(origin)
            CLIENT.reset(sender)

    async def _admit(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            receive = await self._body(scope, receive)
        except _Disconnected:
            return
        except _TooLarge:
            await Problem(REQUEST_TOO_LARGE).response()(scope, receive, answer.send)
            return
        if scope["path"] in HEALTH_PATHS:
            await self._serve(scope, receive, answer)
            return
        refused = self._take_slot(scope, answer)
        if refused is not None:
            self._rejected.inc()
            await refused.response()(scope, receive, answer.send)
            return
        try:
            await self._serve(scope, receive, answer)
        finally:
            answer.give_back_slot()

    async def _body(self, scope: Scope, receive: Receive) -> Receive:
        """What gives the body: at once, or of a streamed request piece by piece. Raises _TooLarge, _Disconnected."""
        if scope["method"] == "POST" and scope["path"] in self._streamed:
            _check_announced(scope, self._streamed[scope["path"]])
            return receive
        return _replay(await _whole_body(scope, receive, self._body_bytes_max), receive)

    def _take_slot(self, scope: Scope, answer: "_Answer") -> Problem | None:
        """Take a slot, which the answer gives back when it begins; returns the problem if there is none."""
        if self._slots == 0:
            return Problem(OVERLOADED)
        address = scope["client"][0] if scope.get("client") else None
        if not self._by_address.acquire(address):
            return Problem(RATE_LIMITED, "too many requests of this address at once")
        self._slots -= 1
        self._in_flight.inc()

        def give_back() -> None:
            self._slots += 1
            self._in_flight.dec()
            self._by_address.release(address)

        answer.on_start = give_back
        return None

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            log.exception("request_failed", method=scope["method"], path=scope["path"])
            if not answer.started:
                await Problem(INTERNAL_ERROR).response()(scope, receive, answer.send)


class _Answer:
    """Adds the common headers, records the status, and gives the slot back when the answer begins."""

    def __init__(self, send: Send, scope: Scope, request_id: str, client: Client) -> None:
        self._client = client
        self._send = send
        self._scope = scope
        self._request_id = request_id
        self.started = False
        self.status = NOT_ANSWERED
        self.on_start: Callable[[], None] | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.give_back_slot()
            self.started, self.status = True, str(message["status"])
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault(
                "Content-Security-Policy", DOCS_POLICY if self._scope["path"] in DOCS_PATHS else API_POLICY
            )
            if self._scope.get("scheme") == "https":
                headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
            headers[REQUEST_ID] = self._request_id
            for name, value in self._scope.get(ADDED_HEADERS, {}).items():
                headers.setdefault(name, value)
            for cookie in self._client.set_cookies:
                headers.append("Set-Cookie", cookie)
        await self._send(message)

    def give_back_slot(self) -> None:
        if self.on_start is not None:
            give_back, self.on_start = self.on_start, None
            give_back()


def _request_id(scope: Scope) -> str:
    """That of the client, where it is well-formed, else a new one."""
    sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return sent.decode() if _REQUEST_ID_FORM.fullmatch(sent) else uuid.uuid4().hex


class _TooLarge(Exception):
    pass


class _Disconnected(Exception):
    pass


async def _whole_body(scope: Scope, receive: Receive, bytes_max: int) -> bytes:
    """Read the body, whose deadline the protocol enforces. Raises _TooLarge, _Disconnected."""
    _check_announced(scope, bytes_max)
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > bytes_max:
            raise _TooLarge
        if not message.get("more_body", False):
            return b"".join(parts)


def _check_announced(scope: Scope, bytes_max: int) -> None:
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if not announced.isdigit() or len(announced) > 12 or int(announced) > bytes_max:
        raise _TooLarge


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body once, then what ``receive`` gives."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
