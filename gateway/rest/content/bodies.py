"""What a client gets of content that it has stored."""

from typing import Annotated

from pydantic import BaseModel, Field


class StoredContent(BaseModel):
    """Content that is stored. ``uri`` is what ``images`` of a card and metadata name."""

    cid: Annotated[str, Field(examples=["bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"])]
    uri: str
    size: int
    media_type: str
    width: int
    height: int
