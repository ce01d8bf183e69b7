"""Background jobs between custody and the chain: deposits, payouts, who has which card."""
