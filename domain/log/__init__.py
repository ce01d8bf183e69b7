"""The encoding of the event log, its hash chain, and their verification."""
