"""The sessions of users: what lists them, ends them, and knows which have ended."""
