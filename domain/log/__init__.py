"""The event log's bytes: codec, hash chain, and checking both."""
