"""What users set for their trades, and whom they block."""

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from domain.errors import INVALID_REQUEST
from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.callers import Editor, Reader
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import user_named
from gateway.rest.services import ServicesDep
from gateway.rest.trades.bodies import BlockPage, SettingsBody, block_json
from gateway.rest.trades.routes import PAGE_DEFAULT, Limit
from persistence.trades.preferences import TradeSettings

router = api_router("trades")

Username = Annotated[str, Path(description="A username")]


@router.get("/users/me/trade-settings", response_model=SettingsBody, summary="One's settings of trades")
async def get_settings(services: ServicesDep, caller: Reader) -> Response:
    """What was set, or the defaults."""
    return answered(await services.trades.preferences.settings(caller.user_id))


@router.put("/users/me/trade-settings", response_model=SettingsBody, summary="Change one's settings of trades")
async def put_settings(services: ServicesDep, caller: Editor, body: SettingsBody) -> Response:
    """A cool-down is of the acceptances from now on."""
    settings = TradeSettings(body.cool_down_ms, body.open_to_trade)
    await services.trades.preferences.set(caller.user_id, settings)
    return answered(settings)


@router.get("/users/me/blocks", response_model=BlockPage, summary="Whom one has blocked")
async def blocks(services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None) -> Response:
    """In the order of their registration."""
    name = f"blocks {caller.user_id}"
    rows = await services.trades.preferences.blocks(caller.user_id, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].user) if rows[limit:] else None
    return answered({"items": [block_json(row) for row in rows[:limit]], "next_cursor": following})


@router.put("/users/me/blocks/{username}", status_code=204, summary="Block a user")
async def block(services: ServicesDep, caller: Editor, username: Username) -> Response:
    """Neither of you can make offers to the other. Trades that are agreed go on."""
    blocked = await user_named(services, username)
    if blocked == caller.user_id:
        raise Problem(INVALID_REQUEST, "nobody blocks themself")
    await services.trades.preferences.block(caller.user_id, blocked, services.now_ms())
    return Response(status_code=204)


@router.delete("/users/me/blocks/{username}", status_code=204, summary="Unblock a user")
async def unblock(services: ServicesDep, caller: Editor, username: Username) -> Response:
    """Nothing happens where they are not blocked."""
    await services.trades.preferences.unblock(caller.user_id, await user_named(services, username))
    return Response(status_code=204)
