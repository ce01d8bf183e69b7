"""Auctions and bids."""
