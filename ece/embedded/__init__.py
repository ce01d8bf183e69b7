"""Servers that the engine brings along: PostgreSQL and Valkey, real ones, from wheels."""
