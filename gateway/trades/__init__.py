"""Commands about trades: one set of checks for REST and the WebSocket."""
