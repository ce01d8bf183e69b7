"""The registry of kinds of entities, and of auction formats."""

from typing import Any

from domain.auction.formats.format import Format
from domain.auction.rules import AUCTIONS
from domain.entity import Rules
from domain.log.kind import Kind
from domain.trade.rules import TradeRules


class UnknownKind(ValueError):
    """No rules of this kind are registered: the log or the sender has another version."""


_kinds: dict[str, Kind] = {}


def register(rules: Rules[Any, Any, Any]) -> None:
    """Make a kind known to this process. Rules whose types have changed are registered again."""
    _kinds[rules.kind] = Kind(rules)


def register_format(auction_format: Format) -> None:
    """Make an auction format known to this process."""
    AUCTIONS.add(auction_format)
    register(AUCTIONS)


def is_known(name: str) -> bool:
    """Whether rules of this kind are registered."""
    return name in _kinds


def kind_of(name: str) -> Kind:
    """The kind of this name. Raises UnknownKind."""
    kind = _kinds.get(name)
    if kind is None:
        raise UnknownKind(name)
    return kind


register(AUCTIONS)
register(TradeRules())
