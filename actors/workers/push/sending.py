"""Sends one message to a push service: encrypted for the browser (RFC 8291), signed by the engine (RFC 8292)."""

import base64
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import aiohttp
from py_vapid import Vapid02
from pywebpush import WebPusher, WebPushException

from persistence.push.endpoints import is_push_endpoint
from persistence.push.subscriptions import Subscription
from persistence.push.vapid import VapidKey

SEND_WITHIN_S = 10.0
SIGNED_FOR_S = 12 * 3600
# Services keep a message for a browser that is not connected as long as it is of use.
KEPT_S = 4 * 3600
_GONE = (401, 403, 404, 410)
_REFUSED = (400, 413)


class PushFailed(Exception):
    """The push service did not take the message now."""


class PushSender:
    """Messages to the services at ``origins``. ``contact``: whom a service may ask, a `mailto:` or `https:` URL."""

    def __init__(self, key: VapidKey, contact: str, origins: Sequence[str], now_ms: Callable[[], int]) -> None:
        self._vapid = Vapid02(key.private)
        self._contact, self._origins, self._now_ms = contact, origins, now_ms

    async def send(self, http: aiohttp.ClientSession, to: Subscription, message: bytes, topic: str) -> bool:
        """False: the subscription is of no use any more. A later message of a topic replaces an earlier one.

        ``message``: 3,000 bytes at most. Raises PushFailed, aiohttp.ClientError and TimeoutError.
        """
        if not is_push_endpoint(to.endpoint, self._origins):
            return False
        keys = {"p256dh": _text(to.p256dh), "auth": _text(to.auth)}
        try:
            body = WebPusher({"endpoint": to.endpoint, "keys": keys}).encode(message)["body"]
        except (WebPushException, ValueError):
            return False  # no point on the curve
        headers = {
            "Content-Encoding": "aes128gcm",
            "TTL": str(KEPT_S),
            "Urgency": "high",
            "Topic": topic,
            **self._vapid.sign({"sub": self._contact, "aud": _origin(to.endpoint), "exp": self._expiry_s()}),
        }
        timeout = aiohttp.ClientTimeout(total=SEND_WITHIN_S)
        async with http.post(to.endpoint, data=body, headers=headers, timeout=timeout, allow_redirects=False) as answer:
            if answer.status in _GONE:
                return False
            # A message that is refused as it is would be refused again.
            if not 200 <= answer.status < 300 and answer.status not in _REFUSED:
                raise PushFailed(f"the push service answered {answer.status}")
        return True

    def _expiry_s(self) -> int:
        return self._now_ms() // 1000 + SIGNED_FOR_S


def _origin(endpoint: str) -> str:
    url = urlsplit(endpoint)
    return f"{url.scheme}://{url.netloc}"


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
