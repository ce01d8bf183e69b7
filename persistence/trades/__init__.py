"""Trades: read models, execution, and what users are open to trade."""
