"""Balances, entries, deposits and withdrawals."""
