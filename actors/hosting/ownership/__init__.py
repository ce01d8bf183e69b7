"""Which slots and auctions a host owns, and since when."""
