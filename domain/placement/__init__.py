"""Which host owns which slots and auctions."""
