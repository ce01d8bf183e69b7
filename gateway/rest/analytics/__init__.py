"""Portfolios and the market."""
