"""REST under gevent. Only for Locust's own processes."""

import json
from http.client import HTTPException
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from geventhttpclient import HTTPClient

from ece_client import ConnectionLost, Refused, UnexpectedAnswer
from ece_client.errors import CLOSE_CODE_ABNORMAL

CONNECTIONS_MAX = 64
DEADLINE_S = 30.0
JSON_TYPE = "application/json"


class Rest:
    """Requests as different users, over some connections of the process."""

    def __init__(self, url: str) -> None:
        self._http = HTTPClient.from_url(
            url, concurrency=CONNECTIONS_MAX, connection_timeout=DEADLINE_S, network_timeout=DEADLINE_S
        )

    def request(self, method: str, path: str, token: str | None, body: dict[str, Any] | None = None) -> Any:
        """The decoded answer, None where it has no body. Raises Refused, ConnectionLost or UnexpectedAnswer."""
        headers = {"Accept": JSON_TYPE}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if method == "POST":
            headers |= {"Content-Type": JSON_TYPE, "Idempotency-Key": uuid4().hex}
        sent = b"" if body is None else json.dumps(body).encode()
        try:
            answer = self._http.request(method, f"/api/v1{quote(path, safe='/?&=:%+')}", sent, headers)
            status, content = int(answer.status_code), bytes(answer.read())
        except (OSError, HTTPException) as error:
            raise ConnectionLost(CLOSE_CODE_ABNORMAL, str(error)[:200], sent=True) from error
        decoded = _decoded(content)
        if 200 <= status < 300:
            return decoded
        if not isinstance(decoded, dict) or not isinstance(decoded.get("code"), str):
            raise UnexpectedAnswer(f"{method} {path}: {status} without a problem")
        raise Refused(decoded["code"], str(decoded.get("detail", "")), decoded, status)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()


def _decoded(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise UnexpectedAnswer(f"an answer is not JSON: {content[:100]!r}") from error
