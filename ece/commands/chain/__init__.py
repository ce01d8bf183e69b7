"""Commands about the chain: keys and wallets."""
