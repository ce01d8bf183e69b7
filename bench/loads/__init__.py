"""Load generators, and the processes that they run in."""
