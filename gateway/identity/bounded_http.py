"""Requests to OpenID Connect providers: to HTTPS only, except on loopback, and with answers of bounded size."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx2

ANSWER_BYTES_MAX = 256 * 1024
# Before the deadline of the whole exchange (gateway/identity/openid.py).
TIMEOUT_S = 5.0


class NotAllowed(httpx2.TransportError):
    """The request or its answer is not one that this engine makes or reads."""


def is_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Of an issuer on loopback, all endpoints are there; of any other, none is, and all have HTTPS."""

    def __init__(self, issuer: str) -> None:
        self._on_loopback = is_loopback(issuer)
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False, limits=httpx2.Limits(max_connections=4))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises TransportError."""
        if not self.allows(str(request.url)):
            raise NotAllowed("an endpoint of a provider needs https://")
        # Compressed, few bytes may become many.
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        try:
            body = await _bounded(response)
        finally:
            await response.aclose()
        return httpx2.Response(response.status_code, headers=response.headers, content=body, request=request)

    def allows(self, url: str) -> bool:
        """Whether a provider may name this endpoint."""
        if self._on_loopback:
            return is_loopback(url)
        return urlsplit(url).scheme == "https" and not is_loopback(url)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


async def _bounded(response: httpx2.Response) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NotAllowed("the provider's answer is compressed")
    assert isinstance(response.stream, httpx2.AsyncByteStream), "it comes from a network"
    body = bytearray()
    async for chunk in response.stream:
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise NotAllowed(f"the provider's answer has more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)
