"""What can be done on the chain: one module a kind of job."""
