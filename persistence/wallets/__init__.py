"""Custodial and linked wallets, second factors, deposits and withdrawals on chain."""
