"""Requests to mint, and what they came to."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.ids import ID_PATTERN, id_text
from persistence.chain.status import ChainJobRecord
from persistence.minting.reading import Mint, MintItem
from persistence.minting.requests import COPIES_MAX

# As many ids as a body has room for.
LISTED_COPIES_MAX = 4_000
MintState = Literal["minting", "done", "failed"]
ItemState = Literal["queued", "signed", "done", "poisoned"]

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]


class NewMint(BaseModel):
    """Exactly one of ``copies``, ``card`` and ``set``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    copies: Annotated[
        list[Id] | None, Field(min_length=1, max_length=LISTED_COPIES_MAX, description="One's own, not minted yet")
    ] = None
    card: Annotated[Id | None, Field(description="A card that one has created: new copies are made of it")] = None
    count: Annotated[int | None, Field(ge=1, le=COPIES_MAX, description="With `card`: how many; 1 by default")] = None
    set: Annotated[
        str | None,
        Field(
            min_length=1, max_length=32,
            description="A set whose cards one has created: a copy of each card of which nothing is minted",
        ),
    ] = None  # fmt: skip
    standard: Annotated[
        Literal["token-2022", "core"],
        Field(description="What the assets are on the chain; `core` (Metaplex Core) where its program is"),
    ] = "token-2022"

    @model_validator(mode="after")
    def _one_subject(self) -> "NewMint":
        if sum(one is not None for one in (self.copies, self.card, self.set)) != 1:
            raise ValueError("exactly one of copies, card and set")
        if self.count is not None and self.card is None:
            raise ValueError("count comes with card")
        return self


class MintBody(BaseModel):
    """A request. It is finished when `done` and `poisoned` together are `total`; times are milliseconds."""

    id: str
    requester: str | None
    standard: str
    state: MintState
    total: int
    done: int
    poisoned: int
    created_at: int
    updated_at: int


class MintPage(BaseModel):
    """A page of requests, the newest first."""

    items: list[MintBody]
    next_cursor: str | None


class MintItemBody(BaseModel):
    """A copy of a request. `error`: why the last attempt failed, or why it is `poisoned`."""

    copy_id: Annotated[str, Field(alias="copy")]
    card: str
    name: str
    serial: int
    state: ItemState
    attempts: int
    error: str | None
    address: str | None
    collection: str | None
    metadata_uri: str | None
    holder: str | None
    signature: str | None


class MintItemPage(BaseModel):
    """A page of the copies of a request, in its order."""

    items: list[MintItemBody]
    next_cursor: str | None


class Retried(BaseModel):
    """How many jobs are queued again."""

    jobs: int


class ChainBody(BaseModel):
    """Where to look up signatures. ``cluster``: such as `solana:devnet`; null: no public chain."""

    cluster: str | None


class PoisonedItem(BaseModel):
    """A job for the chain that is not tried again by itself, and why."""

    id: str
    kind: str
    key: str
    attempts: int
    error: str | None
    signature: str | None
    mint: str | None
    created_at: int


class PoisonedPage(BaseModel):
    """A page of such jobs, in the order of their making."""

    items: list[PoisonedItem]
    next_cursor: str | None


def mint_json(mint: Mint) -> dict[str, Any]:
    """The fields of MintBody."""
    return {
        "id": id_text(mint.id),
        "requester": mint.requester_name,
        "standard": mint.standard,
        "state": mint.state,
        "total": mint.total,
        "done": mint.done,
        "poisoned": mint.poisoned,
        "created_at": mint.created_at,
        "updated_at": mint.updated_at,
    }


def item_json(item: MintItem) -> dict[str, Any]:
    """The fields of MintItemBody."""
    return {
        "copy": id_text(item.copy),
        "card": id_text(item.card),
        "name": item.card_name,
        "serial": item.serial,
        "state": item.state,
        "attempts": item.attempts,
        "error": item.error,
        "address": item.address,
        "collection": item.collection,
        "metadata_uri": item.metadata_uri,
        "holder": item.holder,
        "signature": item.signature,
    }


def poisoned_json(job: ChainJobRecord) -> dict[str, Any]:
    """The fields of PoisonedItem."""
    return {
        "id": id_text(job.id),
        "kind": job.kind,
        "key": job.key,
        "attempts": job.attempts,
        "error": job.error,
        "signature": job.signature,
        "mint": None if job.mint is None else id_text(job.mint),
        "created_at": job.created_at,
    }
