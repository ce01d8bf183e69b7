"""Standards of assets behind one interface, by name."""
