"""The protocol that every kind of entity implements: its rules, and the types of its events, states and commands.

An entity has a single writer, one sequence of events, one state and one due time. Hosts, log, recovery and
verification use only ``Rules``. ``domain.kinds`` has the registry.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

State = TypeVar("State")
Command = TypeVar("Command")
Event = TypeVar("Event")

Details = Mapping[str, int | str]
"""Fields of an error, by their names on the wire; ids as text."""
NO_DETAILS: Details = {}


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """Why a command changes nothing. ``code`` is one of ``domain.errors``; ``details`` are fields of that error."""

    code: str
    details: Details = NO_DETAILS


class Tick(msgspec.Struct, frozen=True, array_like=True, tag="tick"):
    """The command of the timer: the entity is due.

    ``outage`` is the span (from, to; ms) in which the engine took no commands, if the due time lies in one.
    """

    outage: tuple[int, int] | None = None


class Reservation(msgspec.Struct, frozen=True):
    """What is held of a user: ``amount`` base units of their balance, and ``copies`` that they own.

    A ``final`` amount may be posted at any time, so it is never raised.
    """

    amount: int = 0
    final: bool = False
    copies: tuple[int, ...] = ()


class Receipt(msgspec.Struct, frozen=True):
    """The outcome of a command with a key, read from its first event.

    ``fingerprint`` is equal in a retry and the first attempt; ``result`` is the content of the answer.
    """

    user: int
    key: str
    fingerprint: int | str | None
    result: msgspec.Struct


class Rules(ABC, Generic[State, Command, Event]):
    """The rules of one kind. Pure: time is an argument, and the same log always gives the same state.

    ``terms_type``, ``command_type``, ``event_type`` and ``state_type`` are msgspec types: a Struct, or a union of
    tagged ones. An event's new field goes to its end with a default, so that old rows stay readable.
    """

    kind: str
    terms_type: Any
    command_type: Any
    event_type: Any
    state_type: Any
    # Whether ``reserved`` may have copies.
    reserves_copies = False

    def of(self, state: State) -> "Rules[State, Command, Event]":
        """The rules of an entity in this state, if some of the kind have their own. They never change afterwards."""
        return self

    @abstractmethod
    def open(self, terms: Any, now_ms: int) -> list[Event]:
        """The first events of an entity on these terms, which have no fault."""

    @abstractmethod
    def opening(self, event: Event) -> tuple[int, Any] | None:
        """The id and the terms of the entity that this event opens; None for any other event."""

    @abstractmethod
    def terms(self, state: State) -> Any:
        """The terms on which it was opened."""

    def terms_fault(self, terms: Any) -> str | None:
        """Why nothing can be opened on these terms, or None."""
        return None

    @abstractmethod
    def decide(self, state: State, command: Command | Tick, now_ms: int) -> list[Event] | Refusal:
        """The events that follow from a command; none if it was done before, or nothing is due. Changes nothing."""

    @abstractmethod
    def apply(self, state: State | None, event: Event) -> State:
        """The state after this event; ``state`` is None before the first. Never refuses."""

    def due_at(self, state: State) -> int | None:
        """When a tick changes this entity next (ms), or None."""
        return None

    def ended(self, state: State) -> bool:
        """Whether no command can change it any more."""
        return False

    def fingerprint(self, command: Command) -> int | str | None:
        """Distinguishes a retry of this command from another command with the same key."""
        return None

    def receipt(self, event: Event) -> Receipt | None:
        """The receipt of the command with a key that led to this event; None for other events."""
        return None

    def reserved(self, state: State | None) -> Mapping[int, Reservation]:
        """The reservations on users' balances in this state, by user."""
        return {}

    def required(self, event: Event) -> Sequence[tuple[int, int]]:
        """(user, amount): the available balance that this event requires, whether it is reserved afterwards or not."""
        return ()

    def placement(self, state: State) -> str:
        """The placement that the terms request: ``auto``, ``shared`` or ``dedicated``."""
        return "auto"

    @abstractmethod
    def public_state(self, state: State, now_ms: int, placement: str) -> msgspec.Struct:
        """The public state; ``placement`` is the kind of its host now: ``shared`` or ``dedicated``."""

    @abstractmethod
    def public_event(self, event: Event) -> tuple[str, dict[str, Any]]:
        """The event's ``type`` and ``data`` on the wire."""

    def status(self, state: State) -> Any:
        """The status. Its change is written to the summary row in the same commit, not up to half a second later."""
        return self.ended(state)

    def summary(self, state: State, at_ms: int, placement: str) -> tuple[Any, ...]:
        """The columns of the summary row after the event at this time, in the order of the kind's table."""
        return ()

    def summary_jobs(self, state: State) -> Sequence[str]:
        """The kinds of background jobs, with the entity's id as key, to run after each change of its summary row."""
        return ()

    @abstractmethod
    def command_behind(self, state: State, event: Event) -> Command | Tick | None:
        """The command that led from this state to this event as its first, for verification; None if there is none."""
