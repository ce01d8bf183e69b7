"""A service that uploads data items to Arweave (ArDrive Turbo and services like it): ``POST`` of the signed item."""

from collections.abc import AsyncIterator

import msgspec

from chain.storage.data_items import ItemHead
from chain.storage.remotes.http import RemoteHttp, RemoteInvalid, decoded


class _Receipt(msgspec.Struct):
    id: str


class ArweaveUploads:
    """The service at ``url``, such as ``https://upload.ardrive.io/v1/tx``."""

    def __init__(self, http: RemoteHttp, url: str) -> None:
        self._http = http
        self._url = url

    async def upload(self, item: ItemHead, data: AsyncIterator[bytes]) -> None:
        """Upload an item. Raises subclasses of RemoteError; RemoteInvalid if the receipt is for another id."""

        async def whole() -> AsyncIterator[bytes]:
            yield item.content
            async for piece in data:
                yield piece

        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(item.size)}
        receipt: _Receipt = decoded(
            await self._http.request("POST", self._url, headers=headers, content=whole()), _Receipt
        )
        if receipt.id != item.text:
            raise RemoteInvalid(f"the receipt is for {ascii(receipt.id)[:100]}, not for {item.text}")
