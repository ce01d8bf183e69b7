"""`ece bench`: the runner of the benches in `bench/registry.py`."""
