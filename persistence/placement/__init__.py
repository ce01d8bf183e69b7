"""The directory of hosts, and what operators order."""
