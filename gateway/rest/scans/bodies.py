"""What a client gets of a photograph."""

from typing import Annotated

from pydantic import BaseModel, Field

from gateway.rest.catalog.bodies import CardItem


class ScanMatch(BaseModel):
    """A card that may be the one in the photograph."""

    card: CardItem
    confidence: Annotated[float, Field(ge=0, le=1, description="From 0.75 on it is very likely the card")]


class Scan(BaseModel):
    """What is seen in a photograph of ``width`` × ``height`` pixels, as people see it (with its EXIF orientation)."""

    width: int
    height: int
    quad: Annotated[
        list[list[float]] | None,
        Field(description="The corners `[x, y]` of the card, clockwise from its top left one; null: not found"),
    ]
    matches: Annotated[list[ScanMatch], Field(max_length=3, description="The most likely first")]
