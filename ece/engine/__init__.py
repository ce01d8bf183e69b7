"""A running engine, as commands and benches use it."""
