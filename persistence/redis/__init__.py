"""What travels over Redis."""
