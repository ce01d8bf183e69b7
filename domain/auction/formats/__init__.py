"""One module a format: how its bids are decided."""
