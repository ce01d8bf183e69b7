"""An IPFS node that runs Kubo, by its RPC API (docs.ipfs.tech/reference/kubo/rpc).

Whole trees are imported as CAR files, so the node's own settings for chunks and versions change no id.
"""

import secrets
from collections.abc import AsyncIterator, Sequence

import msgspec

from chain.storage.cids import Cid
from chain.storage.remotes.http import RemoteHttp, RemoteInvalid, RemoteUnavailable, decoded

CAR_TYPE = "application/vnd.ipld.car"


class _Root(msgspec.Struct, rename="pascal"):
    cid: dict[str, str]
    pin_error_msg: str = ""


class _Line(msgspec.Struct, rename="pascal"):
    root: _Root | None = None
    # Errors of a request that was answered 200 before it failed.
    message: str | None = None


class _Identity(msgspec.Struct, rename="pascal"):
    addresses: list[str] | None = None


class KuboNode:
    """The node at ``url``, such as ``http://127.0.0.1:5001``. Methods raise subclasses of RemoteError."""

    def __init__(self, http: RemoteHttp, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    async def import_car(self, roots: Sequence[Cid], car: AsyncIterator[bytes]) -> None:
        """Import and pin these trees. RemoteInvalid if the node pinned anything else."""
        boundary = secrets.token_hex(16)
        body = await self._http.request(
            "POST",
            f"{self._url}/api/v0/dag/import",
            params={"pin-roots": "true"},
            headers={"Content-Type": f'multipart/form-data; boundary="{boundary}"'},
            content=_form(boundary, car),
        )
        pinned = set()
        for line in body.splitlines():
            answer: _Line = decoded(line, _Line)
            if answer.message is not None or (answer.root is not None and answer.root.pin_error_msg):
                reason = answer.message or (answer.root.pin_error_msg if answer.root else "")
                raise RemoteUnavailable(f"the node could not pin: {ascii(reason)[:200]}")
            if answer.root is not None:
                pinned.add(answer.root.cid.get("/", ""))
        if pinned != {root.text for root in roots}:
            raise RemoteInvalid(f"the node pinned {len(pinned)} trees that are not those {len(roots)} of the file")

    async def addresses(self) -> list[str]:
        """Where other nodes reach this one (multiaddresses)."""
        answer: _Identity = decoded(await self._http.request("POST", f"{self._url}/api/v0/id"), _Identity)
        return answer.addresses or []


async def _form(boundary: str, car: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    disposition = 'Content-Disposition: form-data; name="file"; filename="content.car"'
    yield f"--{boundary}\r\n{disposition}\r\nContent-Type: {CAR_TYPE}\r\n\r\n".encode()
    async for piece in car:
        yield piece
    yield f"\r\n--{boundary}--\r\n".encode()
