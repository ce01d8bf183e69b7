"""Transactions: packing instructions under all limits, building and signing."""
