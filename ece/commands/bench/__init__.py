"""`ece bench`: the command and its output."""
