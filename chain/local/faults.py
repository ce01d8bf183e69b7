"""Faults on purpose: what a public cluster does to its clients, one switch each, at start and at run time."""

import random

import msgspec

DELAYED_MAX = 10_000


class Faults(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """All off by default. Rates are shares from 0 to 1 of the transactions that are sent.

    `drop_rate`: accepted, but never part of a block. `reject_rate`: refused with the error of a busy node.
    `lose_answer_rate`: part of a block, but the connection ends without an answer. `delay_ms`: accepted, and
    executed so much later. `limit_rate`: of all requests, those that are answered with 429. `latency_ms`: every answer
    is so late. `stalled`: there are no new slots, and nothing that is sent lands. `unhealthy`: the node says that it
    lags behind.
    """

    drop_rate: float = 0.0
    reject_rate: float = 0.0
    lose_answer_rate: float = 0.0
    limit_rate: float = 0.0
    delay_ms: int = 0
    latency_ms: int = 0
    stalled: bool = False
    unhealthy: bool = False

    def __post_init__(self) -> None:
        for name in ("drop_rate", "reject_rate", "lose_answer_rate", "limit_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1")
        for name in ("delay_ms", "latency_ms"):
            if not 0 <= getattr(self, name) <= 600_000:
                raise ValueError(f"{name} is a time up to 600,000 ms")


NO_FAULTS = Faults()


class AnswerLost(Exception):
    """The connection ends without an answer, on purpose."""


def faults_of(text: str) -> Faults:
    """The switches in a JSON object. Raises ValueError."""
    return msgspec.json.decode(text, type=Faults)


def happens(rate: float) -> bool:
    """Whether a fault of this rate happens now."""
    return rate > 0 and random.random() < rate
