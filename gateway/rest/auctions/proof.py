"""The proof that an auction's log was anchored on the chain."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.responses import Response

from domain.errors import NOT_ANCHORED
from domain.ids import id_text
from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.auctions.routes import ENDED
from gateway.rest.callers import PUBLIC, AuctionId
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from persistence.log.anchors import Anchored

router = api_router("auctions")

CACHED = {"Cache-Control": "public, max-age=60"}


class AnchorProof(BaseModel):
    """The newest leaf of an auction's log, its inclusion proof, and where the root is on the chain."""

    auction: str
    seq: Annotated[int, Field(description="The row of the log whose hash is anchored")]
    hash: Annotated[str, Field(description="The hash of that row, which covers all rows before it; hexadecimal")]
    leaf: Annotated[str, Field(description="The text that is hashed as the leaf")]
    place: Annotated[int, Field(description="The place of the leaf in the tree, from 0")]
    leaves: Annotated[int, Field(description="The number of leaves of the tree")]
    proof: Annotated[list[str], Field(description="The hashes from the leaf up to the root; hexadecimal")]
    root: str
    memo: Annotated[str, Field(description="What the transaction says")]
    state: Annotated[
        Literal["pending", "final", "failed"],
        Field(description="`final`: on the chain, for good; `failed`: an operator has to retry"),
    ]
    signature: Annotated[str | None, Field(description="Of the transaction; null until it is final")]
    slot: int | None
    signer: Annotated[str | None, Field(description="The address that signed the memo")]


@router.get(
    "/auctions/{auction_id}/proof",
    dependencies=[PUBLIC],
    response_model=AnchorProof,
    summary="The anchor of an auction's log",
)
async def get_proof(services: ServicesDep, auction: AuctionId) -> Response:
    """For anyone, once the auction has ended and is in an anchor: about a minute after its end."""
    row = await services.listing.get(auction)
    if row is None:
        raise Problem("not_found", "there is no such auction")
    found = await services.anchors.of_entity(auction) if row.status in ENDED else None
    if found is None:
        raise Problem(NOT_ANCHORED)
    return answered(_proof_json(found), headers=CACHED if found.state == "final" else None)


def _proof_json(found: Anchored) -> dict[str, Any]:
    claim = found.claim
    return {
        "auction": id_text(claim.leaf.entity), "seq": claim.leaf.seq, "hash": claim.leaf.hash.hex(),
        "leaf": claim.leaf.text, "place": claim.place, "leaves": claim.leaves,
        "proof": [one.hex() for one in claim.path], "root": claim.root.hex(), "memo": found.memo, "state": found.state,
        "signature": found.signature, "slot": found.slot, "signer": found.signer,
    }  # fmt: skip
