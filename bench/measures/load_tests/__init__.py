"""Benches that run profiles of users."""
