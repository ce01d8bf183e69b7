"""API keys of bots."""
