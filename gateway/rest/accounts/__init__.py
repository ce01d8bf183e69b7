"""Exports of one's data, and the deletion of one's account."""
