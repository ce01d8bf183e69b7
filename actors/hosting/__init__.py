"""A host: the single writer of its auctions."""
