"""The wire: JSON-RPC over HTTP and WebSocket, as an ASGI application."""
