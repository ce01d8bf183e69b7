"""What a sale comes to: the split of its price, and portfolios."""
