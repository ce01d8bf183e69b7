"""What a command of the engine can't do, said to a person."""


class Failure(Exception):
    """A command can't go on. The message is what the user reads: what is wrong, and what to do about it."""
