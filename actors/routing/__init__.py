"""From an auction to the host that owns it."""
