"""Logging in by other ways than a password: wallets, OpenID Connect, passkeys."""
