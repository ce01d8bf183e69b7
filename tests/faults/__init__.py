"""What proves the engine's promises under faults: clients that record, and a checker that compares with the log."""
