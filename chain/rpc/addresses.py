"""Where endpoints are: URLs with options behind ``#``, which are never sent.

``https://host/key#rate=40&ws=wss://host/key``: at most 40 calls a second, and where its WebSockets are.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit, urlunsplit

RATE_MAX = 100_000


class InvalidEndpoint(ValueError):
    """This is not the URL of an RPC server. The message has no part of the URL, which may have a key in it."""


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """``name`` is for people: providers put keys into paths and parameters. ``rate``: calls a second."""

    name: str
    url: str = field(repr=False)
    sockets: tuple[str, ...] = field(repr=False)
    rate: float | None = None


def endpoint_address(text: str) -> EndpointAddress:
    """Raises InvalidEndpoint."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise InvalidEndpoint("a URL of an RPC server can't be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidEndpoint("a URL of an RPC server begins with http:// or https:// and a host")
    options = dict(parse_qsl(parts.fragment))
    if unknown := options.keys() - {"rate", "ws"}:
        raise InvalidEndpoint(f"unknown option of an RPC server: {min(unknown)[:20]}")
    host = parts.netloc.rpartition("@")[2]
    url = urlunsplit(parts._replace(fragment=""))
    return EndpointAddress(f"{parts.scheme}://{host}", url, _sockets(url, port, options.get("ws")), _rate(options))


def _rate(options: dict[str, str]) -> float | None:
    if "rate" not in options:
        return None
    try:
        rate = float(options["rate"])
    except ValueError:
        rate = 0.0
    if not 0 < rate <= RATE_MAX:
        raise InvalidEndpoint(f"the rate of an RPC server is a number of calls a second up to {RATE_MAX:,}")
    return rate


def _sockets(url: str, port: int | None, given: str | None) -> tuple[str, ...]:
    """Providers have WebSockets at the same address, validators at the next port."""
    if given is not None:
        if not given.startswith(("ws://", "wss://")):
            raise InvalidEndpoint("the WebSocket address of an RPC server begins with ws:// or wss://")
        return (given,)
    parts = urlsplit(url)
    same = parts._replace(scheme="wss" if parts.scheme == "https" else "ws")
    if port is None or port >= 65_535:
        return (urlunsplit(same),)
    netloc = parts.netloc.removesuffix(f":{port}") + f":{port + 1}"
    return urlunsplit(same), urlunsplit(same._replace(netloc=netloc))
