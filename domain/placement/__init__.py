"""Placement: which host owns which slots and entities."""
