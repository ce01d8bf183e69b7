"""What outlives the process: keys, accounts and transactions on disk."""
