"""A kind of entity as the log sees it: its rules, and the codec of its rows, snapshots and commands."""

from typing import Any

from domain.entity import Rules
from domain.log.codec import Codec


class Kind:
    """One for each registered ``Rules``; see ``domain.kinds``."""

    __slots__ = ("codec", "name", "rules")

    def __init__(self, rules: Rules[Any, Any, Any]) -> None:
        self.name = rules.kind
        self.rules = rules
        self.codec = Codec(rules)
