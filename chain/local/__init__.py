"""A Solana cluster of one node for one machine: LiteSVM with real programs behind JSON-RPC and WebSockets."""
