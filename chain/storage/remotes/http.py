"""Requests to storage services: deadlines, bounded answers, typed errors. No answer of a service gets past this."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import msgspec

ANSWER_BYTES_MAX = 1_048_576
CONNECT_TIMEOUT_S = 10.0
# Between two pieces of a request or of its answer.
SILENCE_S = 60.0
REFUSAL_MAX = 200


class RemoteError(Exception):
    """A storage service did not do what it was asked. ``code`` is stable."""

    code = "remote_error"


class RemoteUnavailable(RemoteError):
    """No answer, or one that says to try again: whether the copy was made is unknown, and the request is repeatable."""

    code = "remote_unavailable"


class RemoteRefused(RemoteError):
    """The service refused the request: a wrong token or address, no credit, or it does not take such content."""

    code = "remote_refused"


class RemoteInvalid(RemoteError):
    """The answer can't be read, or names another id than that of the content: the copy does not count."""

    code = "remote_invalid"


class RemoteHttp:
    """One client for all services. ``close`` it at the end."""

    def __init__(self) -> None:
        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_TIMEOUT_S)
        # No proxies and no redirects: content and tokens go to the address of the setting, and nowhere else.
        self._client = httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> bytes:
        """The body of a successful answer. Raises RemoteUnavailable, RemoteRefused, RemoteInvalid."""
        try:
            async with self._client.stream(method, url, params=params, headers=headers, content=content) as response:
                body = await _body(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # The message of the library may have the address, with a password in it.
            raise RemoteUnavailable(f"{method} {_shown(url)}: {type(error).__name__}") from None
        if response.is_success:
            return body
        what = f"{method} {_shown(url)}: {response.status_code} {body[:REFUSAL_MAX].decode(errors='replace')!a}"
        if response.status_code in (408, 425, 429) or response.status_code >= 500:
            raise RemoteUnavailable(what)
        raise RemoteRefused(what)


def decoded(body: bytes, kind: Any) -> Any:
    """The JSON of an answer as this type. Raises RemoteInvalid."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteInvalid(f"not the JSON that was expected: {ascii(str(error))[:REFUSAL_MAX]}") from None


async def _body(response: httpx.Response) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise RemoteInvalid("the answer is too long")
        parts.append(part)
    return b"".join(parts)


def _shown(url: str) -> str:
    """The address without user and password, and without its query."""
    return url.split("?", 1)[0].rpartition("@")[2].rpartition("://")[2]
