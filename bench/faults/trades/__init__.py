"""Pairs who trade during a run, and the checker of their trades."""
