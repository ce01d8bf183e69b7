"""Minting: what users ask for, collections, assets, and progress."""
