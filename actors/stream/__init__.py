"""Command streams between gateways and hosts."""
