"""Background work beside the bids."""
