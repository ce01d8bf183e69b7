"""Deterministic simulation: the engine's processes in one event loop, on virtual time, with a network that fails.

Everything random comes from one seed, so a seed is a scenario that can be run again, step by step.
"""
