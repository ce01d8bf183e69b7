"""Fan-out: from the updates of hosts to watchers."""
