"""Garbage collection in long-lived processes."""

import gc

# Young objects between two collections, and young (then middle) collections between two of the next generation. What
# a command makes dies with it, by reference count; Python's defaults would look through everything that lives, many
# times a second.
THRESHOLDS = (50_000, 20, 50)


def tune_gc() -> None:
    """Exempt what was made at start-up, and look for cycles less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
