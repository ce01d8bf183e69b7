"""Authentication: passwords, access tokens and log-ins."""
