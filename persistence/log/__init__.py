"""The event log of entities, and snapshots."""
