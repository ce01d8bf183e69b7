"""Twins of the stores in memory. Each passes the contract suite of the real one (tests/contracts)."""
