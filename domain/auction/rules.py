"""The kind ``auction``: delegates to the format that the terms of an auction name."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from domain.auction.commands import Command
from domain.auction.events import Event
from domain.auction.formats.english import ENGLISH
from domain.auction.formats.format import Format
from domain.auction.state import Auction
from domain.auction.terms import Terms
from domain.auction.views import PublicState
from domain.entity import Receipt, Refusal, Reservation, Rules, Tick


class AuctionRules(Rules[Auction, Command, Event]):
    """A registry of formats that implements the rules of a kind."""

    kind = "auction"
    terms_type = Terms
    command_type = Command

    def __init__(self, *formats: Format) -> None:
        self._formats: dict[str, Format] = {}
        # The format of each event type that is not shared by all.
        self._owners: dict[type, Format] = {}
        self._shared = formats[0]
        for one in formats:
            self.add(one)

    def add(self, auction_format: Format) -> None:
        """Register a format. Call ``domain.kinds.register_format``, which also renews the codec."""
        self._formats[auction_format.name] = auction_format
        self._owners |= dict.fromkeys(auction_format.event_types, auction_format)
        states = {one.state_type: None for one in self._formats.values()}
        self.state_type: Any = reduce(or_, states)
        self.event_type: Any = reduce(or_, self._owners, Event)

    @property
    def formats(self) -> list[str]:
        """The names of all formats."""
        return list(self._formats)

    def of(self, state: Auction) -> Format:
        return self._formats[state.terms.format]

    def _of_event(self, event: Event) -> Format:
        return self._owners.get(type(event), self._shared)

    def terms_fault(self, terms: Terms) -> str | None:
        if terms.format not in self._formats:
            return f"format must be {' or '.join(map(repr, self._formats))}"
        return self._formats[terms.format].terms_fault(terms)

    def open(self, terms: Terms, now_ms: int) -> list[Event]:
        return self._formats[terms.format].open(terms, now_ms)

    def opening(self, event: Event) -> tuple[int, Terms] | None:
        return self._shared.opening(event)

    def terms(self, state: Auction) -> Terms:
        return state.terms

    def decide(self, state: Auction, command: Command | Tick, now_ms: int) -> list[Event] | Refusal:
        return self.of(state).decide(state, command, now_ms)

    def apply(self, state: Auction | None, event: Event) -> Auction:
        if state is not None:
            return self.of(state).apply(state, event)
        opening = self._shared.opening(event)
        return (self._shared if opening is None else self._formats[opening[1].format]).apply(None, event)

    def due_at(self, state: Auction) -> int | None:
        return self.of(state).due_at(state)

    def ended(self, state: Auction) -> bool:
        return self.of(state).ended(state)

    def fingerprint(self, command: Command) -> int | str | None:
        return self._shared.fingerprint(command)

    def receipt(self, event: Event) -> Receipt | None:
        return self._of_event(event).receipt(event)

    def reserved(self, state: Auction | None) -> Mapping[int, Reservation]:
        return {} if state is None else self.of(state).reserved(state)

    def required(self, event: Event) -> Sequence[tuple[int, int]]:
        return self._of_event(event).required(event)

    def placement(self, state: Auction) -> str:
        return state.terms.placement

    def public_state(self, state: Auction, now_ms: int, placement: str) -> PublicState:
        return self.of(state).public_state(state, now_ms, placement)

    def public_event(self, event: Event) -> tuple[str, dict[str, Any]]:
        return self._of_event(event).public_event(event)

    def status(self, state: Auction) -> Any:
        return self.of(state).status(state)

    def summary(self, state: Auction, at_ms: int, placement: str) -> tuple[Any, ...]:
        return self.of(state).summary(state, at_ms, placement)

    def summary_jobs(self, state: Auction) -> Sequence[str]:
        return self.of(state).summary_jobs(state)

    def command_behind(self, state: Auction, event: Event) -> Command | Tick | None:
        return self.of(state).command_behind(state, event)


AUCTIONS = AuctionRules(ENGLISH)
