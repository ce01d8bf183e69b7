"""The director: which hosts there are, and what each owns."""
