"""Profiles, preferences, follows and mutes of users."""
