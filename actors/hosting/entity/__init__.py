"""One auction in memory: its state, and the orders to it."""
