"""Processes that the engine starts: each in a session of its own, with a log file, found again after a crash."""
