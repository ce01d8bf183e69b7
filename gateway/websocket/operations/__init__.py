"""What clients may ask for over the WebSocket, one module an area, registered in ``table.py``."""
