"""The directory of hosts, and overrides of operators."""
