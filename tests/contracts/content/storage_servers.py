"""Servers that check what an IPFS node, a pinning service and an Arweave upload service check, by code of their own.

``answer_with`` lets the next requests fail; ``lie`` makes the server name another id than that of the content.
"""

import base64
import hashlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.unit.chain.storage.car_reader import links_of, read_car

Answer = tuple[int, bytes]
OTHER_CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


class StorageServer:
    """A server on a free port of the loopback address."""

    def __init__(self) -> None:
        self.url = ""
        self.requests = 0
        self.answer_with: list[Answer] = []
        self.lie = False

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    @web.middleware
    async def _fault(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests += 1
        if self.answer_with:
            status, body = self.answer_with.pop(0)
            await request.read()
            return web.Response(status=status, body=body)
        response: web.StreamResponse = await handler(request)
        return response

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        app = web.Application(middlewares=[self._fault], client_max_size=1 << 27)
        app.add_routes(self.routes())
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()


def text_of(cid: bytes) -> str:
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


class KuboServer(StorageServer):
    """``dag/import``: checks every block against its CID, and that each root's whole tree is there."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: dict[bytes, bytes] = {}
        self.pinned: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/api/v0/dag/import", self._import), web.post("/api/v0/id", self._id)]

    async def _import(self, request: web.Request) -> web.Response:
        assert request.query["pin-roots"] == "true"
        part = await (await request.multipart()).next()
        assert part is not None
        assert part.headers["Content-Type"] == "application/vnd.ipld.car"
        try:
            roots, blocks = read_car(bytes(await part.read()))  # type: ignore[union-attr]
        except AssertionError as error:
            return web.json_response({"Message": str(error), "Code": 0, "Type": "error"}, status=500)
        self.blocks |= dict(blocks)
        lines = []
        for root in roots:
            missing = self.missing(root)
            cid = OTHER_CID if self.lie else text_of(root)
            lines.append({"Root": {"Cid": {"/": cid}, "PinErrorMsg": "block was not found locally" if missing else ""}})
            if not missing:
                self.pinned.add(cid)
        return web.Response(body=b"".join(web.json_response(line).body + b"\n" for line in lines))  # type: ignore

    def missing(self, cid: bytes) -> bool:
        block = self.blocks.get(cid)
        if block is None:
            return True
        return cid[1] == 0x70 and any(self.missing(link) for link in links_of(block))

    def file(self, cid: bytes) -> bytes:
        """The content of a pinned tree."""
        block = self.blocks[cid]
        return block if cid[1] == 0x55 else b"".join(map(self.file, links_of(block)))

    async def _id(self, request: web.Request) -> web.Response:
        return web.json_response({"ID": "12D3KooW", "Addresses": ["/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW"]})


class PinningServer(StorageServer):
    """``POST /pins`` and ``GET /pins`` with a token; ``state`` is that of all its pins."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self.state = "queued"
        self.pins: dict[str, dict[str, Any]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/pins", self._add), web.get("/pins", self._list)]

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"Bearer {self._token}":
            return None
        return web.json_response({"error": {"reason": "UNAUTHORIZED", "details": "access token"}}, status=401)

    def _status(self, requestid: str) -> dict[str, Any]:
        pin = self.pins[requestid]
        shown = {**pin, "cid": OTHER_CID} if self.lie else pin
        return {
            "requestid": requestid, "status": self.state, "created": "2026-01-01T00:00:00Z", "pin": shown,
            "delegates": ["/ip4/127.0.0.1/tcp/4001/p2p/12D3KooX"], "info": {},
        }  # fmt: skip

    async def _add(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        pin = await request.json()
        assert set(pin) == {"cid", "name", "origins"}
        requestid = f"request-{len(self.pins)}"
        self.pins[requestid] = pin
        return web.json_response(self._status(requestid), status=202)

    async def _list(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        wanted = request.query["status"].split(",")
        found = [
            self._status(requestid)
            for requestid, pin in self.pins.items()
            if pin["cid"] == request.query["cid"] and self.state in wanted
        ]
        return web.json_response({"count": len(found), "results": found[: int(request.query["limit"])]})


class ArweaveServer(StorageServer):
    """``POST /tx``: reads an ANS-104 item and verifies its signature."""

    def __init__(self) -> None:
        super().__init__()
        # By id: tags and data.
        self.items: dict[str, tuple[dict[str, str], bytes]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/tx", self._upload)]

    async def _upload(self, request: web.Request) -> web.Response:
        content = await request.read()
        assert request.headers["Content-Type"] == "application/octet-stream"
        try:
            id, tags, data = read_item(content)
        except (InvalidSignature, AssertionError) as error:
            return web.Response(status=400, text=repr(error))
        self.items[id] = (tags, data)
        return web.json_response({"id": "another" if self.lie else id, "timestamp": 1, "winc": "0", "owner": "o"})


def read_item(content: bytes) -> tuple[str, dict[str, str], bytes]:
    """Id, tags and data of an item signed with ed25519. Raises InvalidSignature, AssertionError."""
    kind, signature, owner = struct.unpack("<H64s32s", content[:98])
    assert kind == 2
    assert content[98:100] == b"\0\0", "no target, no anchor"
    count, size = struct.unpack("<QQ", content[100:116])
    encoded, data = content[116 : 116 + size], content[116 + size :]
    tags = read_tags(encoded)
    assert len(tags) == count
    message = deep_hash([b"dataitem", b"1", b"2", owner, b"", b"", encoded, data])
    Ed25519PublicKey.from_public_bytes(owner).verify(signature, message)
    id = base64.urlsafe_b64encode(hashlib.sha256(signature).digest()).decode().rstrip("=")
    return id, tags, data


def deep_hash(chunk: Any) -> bytes:
    if isinstance(chunk, bytes):
        tag = f"blob{len(chunk)}".encode()
        return hashlib.sha384(hashlib.sha384(tag).digest() + hashlib.sha384(chunk).digest()).digest()
    found = hashlib.sha384(f"list{len(chunk)}".encode()).digest()
    for one in chunk:
        found = hashlib.sha384(found + deep_hash(one)).digest()
    return found


def read_tags(encoded: bytes) -> dict[str, str]:
    at, tags = 0, {}

    def long() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = encoded[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number >> 1

    def text() -> str:
        nonlocal at
        size = long()
        at += size
        return encoded[at - size : at].decode()

    for _ in range(long()):
        name = text()
        tags[name] = text()
    assert long() == 0
    assert at == len(encoded)
    return tags
