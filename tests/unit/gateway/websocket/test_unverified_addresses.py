"""Where an address has to be verified before money, the socket refuses what REST refuses."""

import pytest
from auction_examples import ANN, AUCTION
from virtual_time import EPOCH_MS, virtual

from domain.ids import id_text
from domain.permissions import DEFAULT_ROLES
from gateway.identity.verification import UNVERIFIED, operation_denied
from gateway.websocket.operations.table import OPERATIONS
from tests.unit.gateway.websocket.sessions import CHANNEL, NOW_S, TOKENS, gateway

LEGS = [{"giver": id_text(ANN), "receiver": id_text(ANN + 1), "money": 5}]
FRAMES = [
    ("bid", {"auction": id_text(AUCTION), "amount": 5, "key": "k"}),
    ("buy_now", {"auction": id_text(AUCTION), "key": "k"}),
    ("trade_offer", {"key": "k", "legs": LEGS}),
    ("trade_accept", {"trade": id_text(7), "key": "k", "hash": "0" * 64}),
    ("trade_decline", {"trade": id_text(7), "key": "k"}),
    ("trade_typing", {"trade": id_text(7)}),
]


@pytest.mark.parametrize(("op", "fields"), FRAMES)
def test_the_unverified_may_watch_and_send_no_command(op: str, fields: dict[str, object]):
    @virtual
    async def scenario() -> None:
        async with gateway() as g:
            g.stands()
            client = g.client()
            token = TOKENS.issue(ANN, "ann", (*DEFAULT_ROLES, UNVERIFIED), NOW_S)
            assert (await client.ask("hello", token=token))["ok"] is True
            assert (await client.ask("subscribe", channel=CHANNEL))["ok"] is True
            refused = (await client.ask(op, **fields))["error"]
            assert (refused["code"], refused["server_time"]) == ("email_not_verified", EPOCH_MS)
            assert g.routes.sent == []

    scenario()


def test_every_operation_that_is_a_command_is_refused():
    allowed = {operation.op for operation in OPERATIONS if not operation_denied((UNVERIFIED,), operation.op)}
    assert allowed == {"hello", "ping", "subscribe", "unsubscribe"}
