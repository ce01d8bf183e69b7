"""Copies, listings, and the settlement of sales."""
