"""The frames of the WebSocket protocol."""
