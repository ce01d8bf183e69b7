"""The processes of hosts and director. The only place that imports Ray."""
