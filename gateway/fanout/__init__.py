"""From hosts' updates to watchers."""
