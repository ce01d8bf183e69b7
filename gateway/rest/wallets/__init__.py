"""Wallets: custodial and linked ones, deposits and withdrawals on chain."""
