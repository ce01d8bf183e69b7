"""The read model of auctions."""
