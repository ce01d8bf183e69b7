"""Wallets: custody, links to outside wallets, and the second factor."""
