"""Clients of the engine's WebSocket and REST interfaces."""
