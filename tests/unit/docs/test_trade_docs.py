"""What the AsyncAPI file and docs/protocol.md say of trades is what the program sends."""

import typing
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator
from test_docs import SCHEMAS, StrictIntegers, answered, codec, faults, payloads, table, validator, variants

from actors.stream.messages import Accepted
from domain.ids import id_text
from domain.trade import events
from domain.trade.commands import Accept, Appeal, Confirm, Counter, Decline, Dispute, Edit, Execute, Judge, Respond
from domain.trade.disputes import DAY_MS
from domain.trade.receipts import TradeResult
from domain.trade.state import Status, Trade
from domain.trade.terms import Condition, Leg
from domain.trade.views import public_event, public_state
from gateway.trades.answers import result_json
from gateway.wire.codec import Codec
from gateway.wire.frames import EventFrame, SignalFrame
from tests.unit.domain.trade.trade_examples import (
    ANN,
    BOB,
    LEGS,
    MODERATOR,
    RULES,
    START,
    TRADE,
    after,
    agreed,
    confirmed,
    opened,
)

__all__ = ["codec"]

NOW, CHANNEL = 1_795_393_927_132, f"trade:{id_text(TRADE)}"
CONDITIONAL = (Leg(ANN, BOB, (10,)), Leg(BOB, ANN, conditions=(Condition(1, 2, "rare"),)))


def executed() -> Trade:
    return after(confirmed(), Execute(1, 1, START + DAY_MS, START + DAY_MS))


def disputed() -> Trade:
    complained = after(
        executed(), Dispute(ANN, "d", "It is damaged", ("ipfs://x",)), Respond(BOB, "r", "It is not", ("y",))
    )
    return after(complained, Judge(MODERATOR, "j", False, "It is not"), Appeal(ANN, "a", "It is"))


STATES = [
    opened(), opened(legs=CONDITIONAL), after(opened(), Edit(BOB, "e", 0, LEGS)), agreed(), confirmed(), executed(),
    disputed(), after(opened(), Decline(BOB, "d")),
    after(opened(), Counter(BOB, "c", 1, LEGS, "no")),
]  # fmt: skip


def all_events() -> list[Any]:
    """One event of each type, as the rules make them, or else with any values."""
    agreement = events.Agreement("h", 1, 2, ())
    return [
        *RULES.open(opened().terms, START), events.Countered(BOB, "k", 2, LEGS, "m", 5, 0, "h"),
        events.Accepted(BOB, "k", "h", (), 0), events.Accepted(BOB, "k", "h", (), 0, agreement),
        events.Confirmed(BOB, "k", "h", True), events.MessageSent(BOB, "k", 1, "m"), events.Edited(BOB, "k", 1, LEGS),
        events.Declined(BOB, "k", False), events.Expired(), events.Invalidated(10, "sold"), events.Failed("x", None),
        events.Executed(1, 1, 1, 1), events.Completed(), events.Disputed(BOB, "k", "r", ("e",), 1),
        events.Responded(BOB, "k", "t", (), None), events.ResponseOver(1), events.Overdue(),
        events.Judged(MODERATOR, "k", True, "r", None), events.Appealed(BOB, "k", "r", 1), events.JudgementFinal(),
        events.ReversalOrdered(MODERATOR, "k", "r"), events.Reversed(None),
    ]  # fmt: skip


@pytest.mark.parametrize("trade", STATES, ids=lambda trade: trade.status)
def test_each_state_goes_out_as_documented(codec: Codec, trade: Trade) -> None:
    state = public_state(trade, NOW, "shared")
    [frame] = payloads(codec, codec.frame(EventFrame(CHANNEL, 1, 3, "state", NOW, state, watchers=2)))
    assert faults("TradeStateFrame", frame) == []


@pytest.mark.parametrize("event", all_events(), ids=lambda event: type(event).__name__)
def test_each_event_goes_out_as_documented(codec: Codec, event: Any) -> None:
    kind, data = public_event(event)
    [frame] = payloads(codec, codec.frame(EventFrame(CHANNEL, 1, 3, kind, NOW, data)))
    assert faults("TradeEvent", frame) == []
    [fields] = [cells[0] for names, cells in table("### Trading").items() if f"`{kind}`" in f"`{names}`"]
    assert [name for name in frame["data"] if f"`{name}`" not in fields] == []


def test_every_type_of_event_and_every_status_is_documented_and_no_other() -> None:
    assert {type(event) for event in all_events()} == set(typing.get_args(events.Event))
    assert {public_event(event)[0] for event in all_events()} == set(
        SCHEMAS["TradeEvent"]["properties"]["type"]["enum"]
    )
    assert {status.value for status in Status} == set(SCHEMAS["TradeState"]["properties"]["status"]["enum"])
    named = " ".join(table("## Trades"))
    assert [status.value for status in Status if status.value not in named] == []


def test_signals_and_replies_go_out_as_documented(codec: Codec) -> None:
    for kind, data in (("presence", {"present": [id_text(ANN)]}), ("typing", {"by": id_text(ANN), "until": NOW})):
        [frame] = payloads(codec, codec.frame(SignalFrame(CHANNEL, kind, NOW, data)))
        assert faults("TradeSignal", frame) == []
    accept, confirm = Accept(BOB, "a", opened().hash), Confirm(BOB, "c", agreed().hash)
    commands = (accept, Counter(BOB, "c", 1, LEGS), confirm, Decline(BOB, "d"))
    receipts = [RULES.receipt(event) for command in commands for event in decided(command)]
    results = [receipt.result for receipt in receipts if receipt is not None]
    assert len(results) == 4
    for result in results:
        assert isinstance(result, TradeResult)
        answer = Accepted(1, 3, NOW, list(msgspec.structs.astuple(result)), False)
        reply = {"id": 1, "ok": True} | result_json(id_text(TRADE), answer)
        assert faults("TradeReply", reply) == []


LEG = {
    "giver": id_text(ANN),
    "receiver": id_text(BOB),
    "copies": [id_text(10)],
    "money": 5,
    "conditions": [{"card": id_text(1)}],
}


@pytest.mark.parametrize("path", ["leg", "condition"])
def test_the_gateway_takes_exactly_the_legs_that_the_schema_allows(codec: Codec, path: str) -> None:
    checker = validator("TradeOffer", Draft7Validator if codec.binary else StrictIntegers)
    inner = {"card": id_text(1), "set": id_text(2), "rarity": "rare"} if path == "condition" else LEG
    for one in variants(inner, set(inner)):
        legs = [LEG | {"conditions": [one]}] if path == "condition" else [one]
        frame = {"op": "trade_offer", "id": 1, "key": "k", "legs": legs}
        assert answered(codec, frame) == checker.is_valid(frame), frame
    for count in (0, 20, 21, 1_000):
        frame = {"op": "trade_offer", "id": 1, "key": "k", "legs": [LEG] * count}
        assert answered(codec, frame) == (count <= 20), count
    for count in (0, 100, 101, 1_000):
        frame = {"op": "trade_offer", "id": 1, "key": "k", "legs": [LEG | {"copies": [id_text(1)] * count}]}
        assert answered(codec, frame) == (count <= 100), count


def decided(command: Any) -> list[Any]:
    """The events that follow from a command, where it is not refused."""
    state = agreed() if isinstance(command, Confirm) else opened()
    found = RULES.decide(state, command, START)
    assert isinstance(found, list), found
    return found
