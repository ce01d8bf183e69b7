"""From announcements to watchers."""
