"""Operations that look something up before they send a command: bounded, and every error becomes a reply."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from auction_examples import ANN
from auction_requests import refused
from virtual_time import EPOCH_MS, turns, virtual

from domain.errors import COPY_NOT_FREE
from domain.permissions import Permission
from gateway.http.problems import Problem
from gateway.identity.attempts import TooManyAttempts
from gateway.identity.second_factor import SecondFactorError
from gateway.identity.tokens import Identity
from gateway.websocket.operations.operation import OperationTable, PreparedOperation
from gateway.websocket.operations.table import OPERATIONS
from gateway.websocket.session import PREPARED_WITHIN_S
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import Frame
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.idempotency import KeyReused
from tests.unit.gateway.websocket.sessions import Gateway, gateway


class Look(Frame, frozen=True, tag="look"):
    what: str


class LookUps:
    """What the operation looks things up with, in a test's hands."""

    def __init__(self) -> None:
        self.answer: Any = "found"
        self.hold: asyncio.Event | None = None
        self.asked: list[tuple[str, int]] = []


async def look(services: LookUps, frame: Look, caller: Identity) -> Any:
    services.asked.append((frame.what, caller.user_id))
    if services.hold is not None:
        await services.hold.wait()
    if isinstance(services.answer, Exception):
        raise services.answer
    return services.answer


def looked(frame: Look, answer: Any) -> dict[str, Any]:
    return {"id": frame.id, "ok": True, "found": answer}


TABLE = OperationTable(*OPERATIONS, PreparedOperation(Look, Permission.READ, look, looked))


def in_gateway(scenario: Callable[[Gateway, LookUps], Any]) -> None:
    @virtual
    async def run() -> None:
        services = LookUps()
        async with gateway(1, operations=TABLE, services=services) as g:
            await scenario(g, services)

    run()


def test_it_is_answered_once_it_has_looked_and_holds_a_slot_until_then() -> None:
    async def scenario(g: Gateway, services: LookUps) -> None:
        services.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        wanted = client.send("look", what="card")
        await turns(4)
        assert (g.admission.in_flight, services.asked, client.connection.frames) == (1, [("card", ANN)], [])
        assert (await client.ask("look", what="card"))["error"]["code"] == "overloaded"
        services.hold.set()
        await turns(4)
        assert client.connection.taken() == [{"id": wanted, "ok": True, "found": "found"}]
        assert (g.admission.in_flight, g.traffic.answered["look", "ok"]) == (0, 1)

    in_gateway(scenario)


def test_without_a_token_nothing_is_looked_up() -> None:
    async def scenario(g: Gateway, services: LookUps) -> None:
        client = g.client()
        assert (await client.ask("look", what="card"))["error"]["code"] == "unauthenticated"
        assert (services.asked, g.admission.in_flight) == ([], 0)

    in_gateway(scenario)


@pytest.mark.parametrize(
    ("failure", "code", "fields"),
    [
        (RequestFailed(COPY_NOT_FREE, copy="x"), "copy_not_free", {"copy": "x"}),
        (Problem("stale_terms", version=2, draft=1), "stale_terms", {"version": 2, "draft": 1}),
        (refused("stale_terms", EPOCH_MS, version=3, draft=0), "stale_terms", {"version": 3, "draft": 0}),
        (SecondFactorError("second_factor_required", "a code"), "second_factor_required", {}),
        (TooManyAttempts(700, 5, 60), "rate_limited", {"retry_after_ms": 700}),
        (StoreUnavailable("host=secret"), "unavailable", {"retry_after_ms": 500}),
        (KeyReused("used"), "invalid_frame", {}),
        (ValueError("a fault"), "internal_error", {}),
    ],
)
def test_what_goes_wrong_is_a_reply_with_its_code(failure: Any, code: str, fields: dict[str, Any]) -> None:
    async def scenario(g: Gateway, services: LookUps) -> None:
        client = g.client()
        await client.hello()
        services.answer = failure
        error = (await client.ask("look", what="card"))["error"]
        message = error.pop("message")
        assert error | fields == error
        assert (error["code"], "secret" in message or "a fault" in message, g.admission.in_flight) == (code, False, 0)

    in_gateway(scenario)


def test_what_takes_too_long_has_an_unknown_outcome() -> None:
    async def scenario(g: Gateway, services: LookUps) -> None:
        services.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        client.send("look", what="card")
        await asyncio.sleep(PREPARED_WITHIN_S + 1)
        [reply] = client.connection.taken()
        assert (reply["error"]["code"], g.admission.in_flight) == ("unavailable", 0)

    in_gateway(scenario)


def test_a_command_of_a_closed_socket_goes_on_and_its_slot_comes_back() -> None:
    async def scenario(g: Gateway, services: LookUps) -> None:
        services.hold = asyncio.Event()
        client = g.client()
        await client.hello()
        client.send("look", what="card")
        await turns(4)
        client.session.closed()
        services.hold.set()
        await turns(4)
        assert g.admission.in_flight == 0

    in_gateway(scenario)
