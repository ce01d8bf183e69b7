"""Compression of what the API answers. Files of the browser client are compressed when they are built."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

# Below it, headers and a packet's other bytes outweigh what compression saves.
BYTES_MIN = 1_024
# 20 KB of a list take 0.2 ms, and become 2.2 KB.
LEVEL = 4


# Files: their ETags are strong, so they stand for the bytes that are sent, of which a range may be asked for.
AS_THEY_ARE = ("/content/", "/media/")


class Compression:
    """Sends text and JSON as gzip to clients that take it."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._compressed = GZipMiddleware(app, minimum_size=BYTES_MIN, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = scope["type"] != "http" or scope["path"].startswith(AS_THEY_ARE)
        await (self._plain if plain else self._compressed)(scope, receive, send)
