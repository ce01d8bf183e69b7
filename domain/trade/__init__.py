"""The rules of trade negotiations."""
