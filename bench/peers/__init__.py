"""The stacks that the engine is compared with: each a server of its own beside a PostgreSQL of its own."""
