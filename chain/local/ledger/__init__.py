"""The ledger in memory: blocks, the bank that executes transactions, and what it knows of accounts."""
