"""What proves the engine's promises under faults: clients that write down everything, and a checker that compares it
with the log."""
