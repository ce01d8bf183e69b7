"""Background jobs, for operators."""
