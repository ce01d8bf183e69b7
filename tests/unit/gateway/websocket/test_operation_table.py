"""An operation that only this test knows works through the session and both codecs, with nothing else changed."""

from typing import Any

import msgspec
import pytest
from auction_examples import ANN, AUCTION
from auction_requests import refused
from virtual_time import EPOCH_MS, virtual

from domain.ids import id_text, parse_id
from domain.permissions import Access, Permission
from gateway.identity.tokens import Identity
from gateway.websocket.operations.operation import CommandOperation, LocalOperation, OperationTable
from gateway.websocket.operations.table import JSON, MSGPACK, OPERATIONS
from gateway.websocket.session import Session
from gateway.wire.codec import Codec
from gateway.wire.faults import InvalidFrame, RequestFailed
from gateway.wire.frames import Amount, Frame, IdText, Key
from tests.unit.gateway.websocket.sessions import gateway

BOTH = pytest.mark.parametrize("codec", [MSGPACK, JSON], ids=["msgpack", "json"])


class Side(msgspec.Struct, frozen=True):
    money: Amount
    copies: list[int]


class OfferFrame(Frame, frozen=True, tag="offer"):
    trade: IdText
    gives: Side
    key: Key


class WhoAmI(Frame, frozen=True, tag="who_am_i"):
    pass


class Offer(msgspec.Struct, frozen=True):
    """What the host gets."""

    trade: int
    user: int
    money: int
    copies: list[int]
    key: str


class Offered(msgspec.Struct, frozen=True):
    """What the host answers."""

    seq: int


def offer(frame: OfferFrame, user: Identity) -> Any:
    if not frame.gives.copies:
        raise RequestFailed("invalid_frame", "offer something")
    return Offer(parse_id(frame.trade), user.user_id, frame.gives.money, frame.gives.copies, frame.key)


def offered(frame: OfferFrame, answer: Offered) -> dict[str, Any]:
    return {"id": frame.id, "ok": True, "trade": frame.trade, "seq": answer.seq}


def who_am_i(session: Session, frame: WhoAmI) -> dict[str, Any]:
    return {"id": frame.id, "ok": True, "name": session.valid_identity().name}


TABLE = OperationTable(
    *OPERATIONS, CommandOperation(OfferFrame, Permission.TRADE, "trade", offer, offered),
    LocalOperation(WhoAmI, Access.PUBLIC, who_am_i),
)  # fmt: skip
OFFER = {"trade": id_text(AUCTION), "gives": {"money": 5, "copies": [7, 8]}, "key": "k"}


def code_of(reply: dict[str, Any]) -> str:
    assert reply["ok"] is False
    return str(reply["error"]["code"])


@BOTH
def test_a_command_goes_to_its_host_and_its_answer_comes_back_as_the_operation_says(codec: Codec):
    @virtual
    async def scenario() -> None:
        async with gateway(operations=TABLE) as g:
            client = g.client(codec)
            await client.hello()
            wanted = client.send("offer", **OFFER)
            [(request, answer)] = g.routes.sent
            assert request == Offer(AUCTION, ANN, 5, [7, 8], "k")
            assert (g.admission.in_flight, client.connection.frames) == (1, [])
            answer(Offered(3))  # type: ignore[arg-type]
            assert client.connection.taken() == [{"id": wanted, "ok": True, "trade": OFFER["trade"], "seq": 3}]
            assert g.admission.in_flight == 0
            assert g.traffic.answered["offer", "ok"] == 1

    scenario()


@virtual
async def test_it_is_refused_as_all_commands_are():
    async with gateway(1, operations=TABLE) as g:
        client = g.client()
        assert code_of(await client.ask("offer", **OFFER)) == "unauthenticated"
        await client.hello()
        assert code_of(await client.ask("offer", **OFFER | {"trade": "nonsense"})) == "not_found"
        assert code_of(await client.ask("offer", **OFFER | {"gives": {"money": 5, "copies": []}})) == "invalid_frame"
        assert code_of(await client.ask("offer", **OFFER | {"gives": {"money": 0, "copies": [7]}})) == "invalid_frame"
        assert (g.routes.sent, g.admission.in_flight) == ([], 0)
        first = client.send("offer", **OFFER)
        assert code_of(await client.ask("offer", **OFFER)) == "overloaded"
        g.routes.sent[0][1](refused("insufficient_funds", EPOCH_MS, available=1, required=5))
        [reply] = client.connection.taken()
        assert (reply["id"], code_of(reply)) == (first, "insufficient_funds")
        assert (reply["error"]["available"], reply["error"]["required"]) == (1, 5)


@virtual
async def test_the_gateway_does_a_local_operation_itself():
    async with gateway(operations=TABLE) as g:
        client = g.client()
        assert code_of(await client.ask("who_am_i")) == "unauthenticated"
        await client.hello(user=None)
        assert code_of(await client.ask("who_am_i")) == "unauthenticated"
        await client.hello()
        assert await client.ask("who_am_i") == {"id": 5, "ok": True, "name": "ann"}


@virtual
async def test_clients_of_the_usual_table_know_nothing_of_it():
    async with gateway() as g:
        client = g.client()
        await client.hello()
        assert code_of(await client.ask("offer", **OFFER)) == "invalid_frame"


def test_whole_floats_are_integers_also_inside_of_it():
    codec = TABLE.codecs[MSGPACK.subprotocol]
    frame = {"op": "offer", "id": 1} | OFFER | {"gives": {"money": 5e9, "copies": [7.0, 2.0**40]}}
    assert codec.decode(msgspec.msgpack.encode(frame)) == OfferFrame(
        1, id_text(AUCTION), Side(5_000_000_000, [7, 2**40]), "k"
    )


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        (JSON, '{"op":"offer","id":1,"trade":"t","gives":{"money":5,"money":6,"copies":[]},"key":"k"}'),
        (
            MSGPACK,
            b"\x85\xa2op\xa5offer\xa2id\x01\xa5trade\xa1t\xa3key\xa1k"
            b"\xa5gives\x83\xa5money\x05\xa5money\x06\xa6copies\x90",
        ),
    ],
)
def test_no_field_occurs_twice_in_a_map_that_a_frame_must_have(codec: Codec, data: bytes | str):
    with pytest.raises(InvalidFrame, match="a field occurs twice"):
        TABLE.codecs[codec.subprotocol].decode(data)


def test_two_operations_have_different_names():
    class Again(Frame, frozen=True, tag="ping"):
        pass

    with pytest.raises(TypeError):
        OperationTable(*OPERATIONS, LocalOperation(Again, who_am_i))
