"""Minting: copies of cards become assets on the chain."""
