"""E-mail: texts, ways to send, and the jobs."""
