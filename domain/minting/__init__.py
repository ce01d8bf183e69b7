"""Minting: the metadata of cards on a chain."""
