"""An offer that is sent again while its host can't be asked: nobody is told that nothing happened."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from actors.stream.messages import Answer, GetState, Refused, Request
from domain.errors import COPY_NOT_FREE, NOT_FOUND, UNAVAILABLE
from domain.trade.terms import Leg
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.trades.commands import Proposed, TradeCommands
from persistence.postgres.idempotency import Begun, IdempotencyKeys
from persistence.trades.checks import TradeChecks, TradeCopy, TradeFacts, TradeUser

ANN, BOB, COPY, TRADE = 1, 2, 3, 77


class Keys:
    """Every key begins the same trade; `stored` are the answers that a retry would get."""

    def __init__(self) -> None:
        self.stored: list[int] = []

    async def begin(self, user: int, key: str, request_hash: bytes, now_ms: int) -> Begun:
        return Begun(TRADE, now_ms)

    async def finish(self, user: int, key: str, status: int, body: bytes) -> None:
        self.stored.append(status)

    async def release(self, user: int, key: str) -> None:
        """Nothing is stored."""


class HeldByAnAttempt:
    """The copy is held: the first attempt of this offer may have done it."""

    async def facts(self, users: Sequence[int], copies: Sequence[int], *more: int) -> TradeFacts:
        held = TradeCopy(COPY, ANN, "held", 1, 1, "rare")
        return TradeFacts([TradeUser(one, f"u{one}", True, 0) for one in users], [held], False, 0)


class Hosts:
    """Answers what the state of the trade is with this refusal."""

    def __init__(self, code: str) -> None:
        self._code = code

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer:
        assert isinstance(request, GetState)
        return Refused(self._code, 1_000)


def offering(code: str) -> tuple[TradeCommands, Keys]:
    keys = Keys()
    checks = cast(TradeChecks, HeldByAnAttempt())
    return TradeCommands(Hosts(code), cast(IdempotencyKeys, keys), checks, cast(Any, None), lambda: 1_000), keys


OFFER = Proposed((Leg(ANN, BOB, (COPY,)), Leg(BOB, ANN, (), 1_000_000)))
CALLER = Identity(ANN, "ann", frozenset(), 10**15, "s")


async def test_a_held_copy_refuses_an_offer_that_no_attempt_has_opened():
    commands, keys = offering(NOT_FOUND)
    answer = await commands.offer(CALLER, "k", OFFER)
    assert (answer.status, COPY_NOT_FREE.encode() in answer.body) == (409, True)
    assert keys.stored == [409]


async def test_while_the_trade_can_not_be_asked_for_the_outcome_is_unknown_and_not_stored():
    commands, keys = offering(UNAVAILABLE)
    with pytest.raises(Problem) as failure:
        await commands.offer(CALLER, "k", OFFER)
    assert failure.value.code == UNAVAILABLE
    assert keys.stored == []
