"""The operations of the WebSocket protocol, one module an area, registered in ``table.py``."""
