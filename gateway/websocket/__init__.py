"""Sockets and sessions."""
