"""Background jobs, and their runner."""
