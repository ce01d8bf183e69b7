"""JSON-RPC to Solana: one guarded client, whose errors are typed."""
