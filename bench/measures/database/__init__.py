"""Benches of the database and of what reads it."""
