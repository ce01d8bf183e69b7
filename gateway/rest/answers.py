"""Answers as JSON."""

from typing import Any

import msgspec
from starlette.responses import Response

JSON = "application/json"

encode = msgspec.json.encode


def answered(members: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of these members."""
    return Response(encode(members), status, headers, media_type=JSON)
