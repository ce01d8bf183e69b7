"""Keys: of the platform and of users' custodial wallets, their storage, and signers."""
