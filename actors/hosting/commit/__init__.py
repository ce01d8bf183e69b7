"""From orders to one append: what a batch gathers, and what has to be sure before it is written."""
