"""Cards that users create, to mint copies of them."""

import msgspec
from starlette.responses import Response

from chain.storage.cids import URI_SCHEME
from domain.errors import INVALID_REQUEST
from gateway.http.problems import Problem
from gateway.rest.callers import IdempotencyKey, Minter
from gateway.rest.catalog.bodies import OwnCard, WholeCard, card_json, rights_json
from gateway.rest.idempotency import Posted, idempotent
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from persistence.catalog.creating import CardRefused
from persistence.postgres.idempotency import Begun

router = api_router("catalog")
encode = msgspec.json.encode


@router.post("/catalog/cards", status_code=201, response_model=WholeCard, summary="Create a card")
async def create_card(services: ServicesDep, caller: Minter, key: IdempotencyKey, body: OwnCard) -> Response:
    """In a set of one's own: a new one, or one whose cards one has created. `POST /mints` makes copies of it."""
    row = body.row()
    if not await services.content.are_pictures([image.removeprefix(URI_SCHEME) for image in row.images]):
        # Wallets would show whatever stands elsewhere under that id.
        raise Problem(INVALID_REQUEST, "images are the `uri`s of images that were uploaded")

    async def work(_begun: Begun) -> tuple[int, bytes]:
        made = await services.catalog.creating.create(row, caller.user_id, services.now_ms())
        if isinstance(made, CardRefused):
            raise Problem(made.code)
        card = await services.catalog.view.card(made)
        assert card is not None, "cards stay"
        rights = await services.sales.copies.rights(card.id)
        return 201, encode(card_json(card) | rights_json(rights))

    return await idempotent(services, Posted(caller, key, f"create card {encode(row).decode()}"), work)
