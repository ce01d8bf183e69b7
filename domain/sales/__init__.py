"""Settlement of sales, and the value of portfolios."""
