"""The services about trades, for REST and the WebSocket."""

from dataclasses import dataclass

from gateway.trades.commands import TradeCommands
from persistence.trades.history import TradeHistory
from persistence.trades.preferences import TradePreferences
from persistence.trades.reading import TradeReading
from persistence.trades.values import CopyValues


@dataclass(frozen=True)
class Trades:
    """Commands, lists, settings and values."""

    commands: TradeCommands
    reading: TradeReading
    preferences: TradePreferences
    values: CopyValues
    history: TradeHistory
