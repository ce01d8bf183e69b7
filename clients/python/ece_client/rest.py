"""REST: typed answers, problems as `Refused`, and calls that are safe to send again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from copy import copy
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import httpx
import msgspec

from ece_client.backoff import until_known
from ece_client.errors import CLOSE_CODE_ABNORMAL, ConnectionLost, NotAnswered, Refused, UnexpectedAnswer
from ece_client.options import Options
from ece_client.values import Page, Value

Answer = TypeVar("Answer")
Params = Mapping[str, str | int | bool | None]

PAGE_MAX = 100
PROBLEM_TEXT_MAX = 200
# From here on an answer that is not the engine's is that of a proxy whose server did not answer it.
PROXY_FAILED = 500


class AccessToken(Value, frozen=True):
    """A token to send, and when it has to be replaced (`time.monotonic()`; None: unknown)."""

    text: str
    replace_at_s: float | None = None

    def __repr__(self) -> str:
        return "AccessToken(...)"


class Tokens(Protocol):
    """Where access tokens come from. `auth.py` has those for a password and for a fixed token."""

    async def access_token(self) -> AccessToken:
        """A token that is valid now, renewed where it is about to expire."""

    async def renew(self, refused: str) -> AccessToken:
        """Another token in place of one that the server refused. Raises Refused where there is none."""


class Rest:
    """The calls of one user, or of nobody without `tokens`. Each raises what `until_known` does.

    `transport` replaces the HTTP transport of httpx, for a proxy or a UNIX socket.
    """

    def __init__(
        self, url: str, tokens: Tokens | None, options: Options, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._tokens = tokens
        self._options = options
        self._pool = _Pool(url, options, transport)

    def as_user(self, tokens: Tokens | None) -> "Rest":
        """The same calls with the tokens of another user, on the same connections."""
        other = copy(self)
        other._tokens = tokens
        return other

    async def close(self) -> None:
        """Close the connections, also for those made by `as_user`."""
        await self._pool.close()

    async def get(self, path: str, kind: type[Answer], params: Params | None = None) -> Answer:
        """Read what is there."""
        answer: Answer = await self._until_known("GET", path, kind, None, params, "")
        return answer

    async def post(
        self, path: str, kind: type[Answer], body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Answer:
        """Do this once, however often it has to be sent: with `key`, or a new one."""
        answer: Answer = await self._until_known("POST", path, kind, body or {}, None, key or uuid4().hex)
        return answer

    async def put(self, path: str) -> None:
        """Set this; a repetition changes nothing."""
        await self._until_known("PUT", path, None, None, None, "")

    async def delete(self, path: str) -> None:
        """Remove this; a repetition changes nothing."""
        await self._until_known("DELETE", path, None, None, None, "")

    async def pages(self, path: str, item: type[Answer], params: Params | None = None) -> AsyncIterator[Answer]:
        """All items of a list, page by page."""
        query = {"limit": PAGE_MAX, **(params or {})}
        while True:
            page = await self.get(path, Page[item], query)  # type: ignore[valid-type]
            for one in page.items:
                yield one
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    async def _until_known(
        self, method: str, path: str, kind: Any, body: Mapping[str, Any] | None, params: Params | None, key: str
    ) -> Any:
        async def attempt(left_s: float) -> Any:
            return await self._authenticated(
                lambda headers: self.once(method, path, kind, body, params, headers, left_s),
                {"Idempotency-Key": key} if key else {},
            )

        return await until_known(attempt, key, self._options.command_deadline_s)

    async def _authenticated(self, send: Callable[[dict[str, str]], Awaitable[Any]], headers: dict[str, str]) -> Any:
        """Send it with a token; once more with another one, if that is refused."""
        if self._tokens is None:
            return await send(headers)
        token = await self._tokens.access_token()
        try:
            return await send(headers | _bearer(token))
        except Refused as refused:
            if refused.status != 401:
                raise
        return await send(headers | _bearer(await self._tokens.renew(token.text)))

    async def once(
        self,
        method: str,
        path: str,
        kind: Any,
        body: Any = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        left_s: float | None = None,
    ) -> Any:
        """One request, without a retry. `kind` None: the answer has no content."""
        query = {name: _text(value) for name, value in (params or {}).items() if value is not None}
        deadline_s = self._options.command_deadline_s if left_s is None else left_s
        sent = False
        try:
            async with asyncio.timeout(deadline_s), self._pool.turn:
                sent = True
                response = await self._pool.http.request(method, path, json=body, params=query or None, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ConnectionLost(CLOSE_CODE_ABNORMAL, str(error) or type(error).__name__) from error
        except httpx.TransportError as error:
            raise ConnectionLost(CLOSE_CODE_ABNORMAL, str(error) or type(error).__name__, sent=True) from error
        except TimeoutError:
            raise NotAnswered(f"no answer to {method} {path} within {deadline_s:.3g} s", sent=sent) from None
        return _answer(method, path, kind, response)


class _Pool:
    """The connections to one engine, made when first needed: a client that only uses the socket has none."""

    def __init__(self, url: str, options: Options, transport: httpx.AsyncBaseTransport | None) -> None:
        self._url = url.rstrip("/") + "/api/v1"
        self._options = options
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        # httpx looks at every connection for every request that waits: keep its queue short.
        self.turn = asyncio.Semaphore(options.http_connections_max)

    @property
    def http(self) -> httpx.AsyncClient:
        if self._http is None:
            most = self._options.http_connections_max
            self._http = httpx.AsyncClient(
                base_url=self._url,
                timeout=self._options.http_timeout_s,
                limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
                transport=self._transport,
                trust_env=False,
            )
        return self._http

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()


def _bearer(token: AccessToken) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.text}"}


def _answer(method: str, path: str, kind: Any, response: httpx.Response) -> Any:
    if not response.is_success:
        raise _refused(response)
    if kind is None:
        return None
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer(f"{method} {path}: {error}") from error


def _refused(response: httpx.Response) -> Refused:
    """The problem of an answer; an answer without one, as proxies give it, says little about the outcome."""
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        code = "unavailable" if response.status_code >= PROXY_FAILED else f"http_{response.status_code}"
        return Refused(code, response.text[:PROBLEM_TEXT_MAX], {}, response.status_code)
    message = str(problem.get("detail") or problem.get("title") or "")
    return Refused(str(problem.get("code", f"http_{response.status_code}")), message, problem, response.status_code)


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
