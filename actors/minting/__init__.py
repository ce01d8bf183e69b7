"""The minting pool: actors that claim jobs for the chain, sign transactions for them, and watch these to the end."""
