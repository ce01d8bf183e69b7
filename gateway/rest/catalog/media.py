"""Pictures of cards: files in the data directory, and smaller ones of any. A name stands for its content for good."""

import re
from pathlib import Path

import structlog
from fastapi import APIRouter
from starlette.responses import FileResponse, RedirectResponse, Response

from actors.content.pictures import MEDIA_PATH, CardPictures, cid_of
from chain.storage.errors import ContentDamaged, ContentError
from chain.storage.images import MEDIA_TYPES
from domain.errors import NOT_FOUND, UNAVAILABLE
from gateway.http.problems import Problem
from gateway.rest.callers import PUBLIC
from gateway.rest.content.routes import SANDBOX
from gateway.rest.content.thumbnails import ThumbnailsBusy
from gateway.rest.services import ServicesDep

log = structlog.get_logger(__name__)
router = APIRouter(tags=["media"])

# In pixels; web/src/card/picture-address.ts offers them to browsers.
WIDTHS = (160, 320, 480, 640)

FOREVER = "public, max-age=31536000, immutable"
TYPES = {".webp": "image/webp", ".png": "image/png"}
# No folders and only one dot: no path outside of the folder.
_name = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\.(?:webp|png)")


@router.get(
    "/media/cards/{name}",
    dependencies=[PUBLIC],
    summary="A picture of a card",
    response_class=Response,
    responses={200: {"content": {type_: {} for type_ in TYPES.values()}}},
)
def card_picture(services: ServicesDep, name: str) -> Response:
    """May be cached for ever."""
    folder = services.media_dir
    path = _file(folder / "cards", name) if folder is not None else None
    if path is None:
        raise Problem("not_found", "there is no such picture")
    headers = {"Cache-Control": FOREVER, "Cross-Origin-Resource-Policy": "cross-origin"}
    return FileResponse(path, headers=headers, media_type=TYPES[path.suffix])


@router.get(
    "/media/cards/{width:int}/{name}",
    dependencies=[PUBLIC],
    summary="A picture of a card, or stored content, in a smaller size",
    response_class=Response,
    responses={
        200: {"content": {type_: {} for type_ in MEDIA_TYPES.values()}},
        307: {"description": "The gateway is busy: the whole picture"},
    },
)
async def small_picture(services: ServicesDep, width: int, name: str) -> Response:
    """160, 320, 480 or 640 pixels wide. WebP; what is not wider, and an animation, as it is. May be cached for ever."""
    if width not in WIDTHS:
        raise Problem(NOT_FOUND, "there is no picture of this width")
    image = name if cid_of(name) is not None else MEDIA_PATH + name
    pictures = CardPictures(services.content.store, services.media_dir)
    try:
        found = await services.content.thumbnails.get(image, width, lambda: pictures.read(image))
    except ThumbnailsBusy:
        whole = image if image.startswith(MEDIA_PATH) else f"/content/{name}"
        return RedirectResponse(whole, 307, {"Cache-Control": "no-store"})
    except (ContentDamaged, OSError) as error:
        log.error("picture_unreadable", image=image, error=str(error))
        raise Problem(UNAVAILABLE) from None
    except ContentError:
        # Something that is stored, and no picture.
        found = None
    if found is None:
        raise Problem(NOT_FOUND, "there is no such picture")
    headers = {"Cache-Control": FOREVER, "Cross-Origin-Resource-Policy": "cross-origin", **SANDBOX}
    return Response(found.content, headers=headers, media_type=found.media_type)


def _file(folder: Path, name: str) -> Path | None:
    path = folder / name
    return path if _name.fullmatch(name) and path.is_file() and not path.is_symlink() else None
