"""`ece bench compare`."""
