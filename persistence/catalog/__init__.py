"""Cards and sets: writing, importing, searching, counting."""
