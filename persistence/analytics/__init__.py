"""Read models of portfolios and the market."""
