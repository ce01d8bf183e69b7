"""The classes of users. Only for Locust's own processes."""
