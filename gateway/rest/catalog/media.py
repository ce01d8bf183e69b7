"""Pictures of cards, as files in the data directory. A name stands for its content for good."""

import re
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from gateway.http.problems import Problem
from gateway.rest.callers import PUBLIC
from gateway.rest.services import ServicesDep

router = APIRouter(tags=["media"])

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


def _file(folder: Path, name: str) -> Path | None:
    path = folder / name
    return path if _name.fullmatch(name) and path.is_file() and not path.is_symlink() else None
