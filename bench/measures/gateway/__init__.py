"""Benches of the gateway alone."""
