"""Data keys, and the values that they encrypt."""
