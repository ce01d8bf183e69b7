"""A pinning service, by the IPFS Pinning Service API (ipfs.github.io/pinning-services-api-spec, version 1.0.0).

The service fetches the content from the IPFS network by itself.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from chain.storage.cids import Cid
from chain.storage.remotes.http import RemoteHttp, RemoteInvalid, decoded

ORIGINS_MAX = 20
State = Literal["queued", "pinning", "pinned", "failed"]


class _Pin(msgspec.Struct):
    cid: str


class _Status(msgspec.Struct):
    requestid: str
    status: State
    pin: _Pin


class _Found(msgspec.Struct):
    results: list[_Status]


class PinRequest(msgspec.Struct, frozen=True):
    """A request for a pin, and its state at the service."""

    id: str
    state: State


class PinningService:
    """The service at ``url`` (without ``/pins``). Methods raise subclasses of RemoteError."""

    def __init__(self, http: RemoteHttp, url: str, token: str | None) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/pins"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def request(self, cid: Cid, origins: Sequence[str] = ()) -> PinRequest:
        """Ask for a pin. ``origins``: multiaddresses of nodes that have the content."""
        body = msgspec.json.encode({"cid": cid.text, "name": cid.text, "origins": list(origins[:ORIGINS_MAX])})
        headers = {**self._headers, "Content-Type": "application/json"}
        return _checked(
            cid, decoded(await self._http.request("POST", self._url, headers=headers, content=body), _Status)
        )

    async def find(self, cid: Cid) -> PinRequest | None:
        """The newest request for this content that has not failed; None if there is none."""
        params = {"cid": cid.text, "status": "queued,pinning,pinned", "limit": "1"}
        answer: _Found = decoded(
            await self._http.request("GET", self._url, params=params, headers=self._headers), _Found
        )
        return _checked(cid, answer.results[0]) if answer.results else None


def _checked(cid: Cid, status: _Status) -> PinRequest:
    if status.pin.cid != cid.text:
        raise RemoteInvalid(f"the service answered for {ascii(status.pin.cid)[:100]}, not for {cid.text}")
    return PinRequest(status.requestid, status.status)
