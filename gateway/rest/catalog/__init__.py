"""Cards, sets and pictures."""
