"""The gateway's app with a real host and a real PostgreSQL."""

from tests.rest.rest_engine import engine

__all__ = ["engine"]
