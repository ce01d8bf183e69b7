"""Trades: offers, agreements, messages and disputes; values; and what users set for them."""
