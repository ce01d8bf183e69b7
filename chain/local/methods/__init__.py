"""The methods of the JSON-RPC interface."""
