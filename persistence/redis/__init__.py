"""Announcements over Redis."""
