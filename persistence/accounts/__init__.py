"""Everything about a user in one place: exports of it, and the deletion of an account."""
