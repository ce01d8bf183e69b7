"""The auctions' event log, and snapshots of it."""
