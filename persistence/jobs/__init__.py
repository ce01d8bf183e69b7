"""The job table: durable background work."""
