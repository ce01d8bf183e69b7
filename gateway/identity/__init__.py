"""Who is asking: passwords, access tokens and log-ins."""
