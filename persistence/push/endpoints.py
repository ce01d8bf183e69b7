"""The push services that messages are sent to: a subscription names its own, so only known ones are asked."""

from collections.abc import Sequence
from urllib.parse import urlsplit

ENDPOINT_LENGTH_MAX = 1000


def is_push_endpoint(endpoint: str, services: Sequence[str]) -> bool:
    """Whether a URL belongs to one of these origins. ``https://*.example.org`` stands for all below example.org.

    Plain HTTP only where an origin says so. Never raises.
    """
    if len(endpoint) > ENDPOINT_LENGTH_MAX or not endpoint.isascii() or not endpoint.isprintable() or " " in endpoint:
        return False
    try:
        url = urlsplit(endpoint)
        port = url.port
    except ValueError:
        return False
    if url.username is not None or url.password is not None or url.hostname is None or "\\" in endpoint:
        return False
    return any(_matches(url.scheme, url.hostname, port, service) for service in services)


def _matches(scheme: str, host: str, port: int | None, service: str) -> bool:
    wanted = urlsplit(service)
    name = (wanted.hostname or "").removeprefix("*.")
    same = host.endswith(f".{name}") if "*" in wanted.netloc else host == name
    return same and (scheme, port) == (wanted.scheme, wanted.port)
