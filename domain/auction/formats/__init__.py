"""Auction formats, one module each."""
