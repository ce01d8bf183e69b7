"""What all stores in PostgreSQL share: connections, errors, migrations, idempotency keys."""
