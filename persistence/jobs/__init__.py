"""The job table: durable background jobs."""
