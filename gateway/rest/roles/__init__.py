"""Roles and suspensions of users, for admins and moderators."""
