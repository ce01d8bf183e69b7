"""The pictures of cards that are stored here: content, and files of the media folder."""

import asyncio
import re
from pathlib import Path

from actors.content.store import ContentStore
from chain.storage.cids import URI_SCHEME, Cid, InvalidCid
from chain.storage.images import IMAGE_BYTES_MAX
from chain.storage.reencoding import REENCODED_BYTES_MAX

MEDIA_PATH = "/media/cards/"
# As the gateway serves them (gateway/rest/catalog/media.py).
_name = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\.(?:webp|png)")


def cid_of(image: str) -> Cid | None:
    """The id of a picture that is content."""
    try:
        return Cid.parse(image.removeprefix(URI_SCHEME))
    except InvalidCid:
        return None


def media_file(media_dir: Path | None, image: str) -> Path | None:
    """The file of a picture with the path MEDIA_PATH; None if there is none."""
    name = image.removeprefix(MEDIA_PATH)
    path = None if media_dir is None else media_dir / "cards" / name
    if path is None or not _name.fullmatch(name) or not path.is_file() or path.is_symlink():
        return None
    return path


def is_here(image: str) -> bool:
    """Whether this engine stores the picture, now or later; pictures elsewhere are not fetched."""
    return image.startswith(MEDIA_PATH) or cid_of(image) is not None


class CardPictures:
    """Reads pictures. May raise StoreUnavailable, OSError and ContentDamaged."""

    def __init__(self, store: ContentStore, media_dir: Path | None) -> None:
        """``media_dir``: the folder of pictures that this machine serves."""
        self._store = store
        self._media_dir = media_dir

    async def read(self, image: str) -> bytes | None:
        """The bytes of a picture; None if it is not here, or too large."""
        cid = cid_of(image)
        if cid is not None:
            row = await self._store.find(cid)
            return None if row is None or row.size > REENCODED_BYTES_MAX else await self._store.read(row)
        path = media_file(self._media_dir, image) if image.startswith(MEDIA_PATH) else None
        if path is None or path.stat().st_size > IMAGE_BYTES_MAX:
            return None
        return await asyncio.to_thread(path.read_bytes)
