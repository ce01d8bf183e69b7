"""A catalog to look at: cards that nobody made, with pictures that nobody painted, the same for the same seed."""
