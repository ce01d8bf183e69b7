"""The index of stored content, small content itself, and its copies on other services."""
