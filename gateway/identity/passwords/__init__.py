"""Passwords: their hashes, and which are refused."""
