"""Solana: the RPC client, programs and transactions, the local chain, storage of metadata, and wallets."""
