"""Starting, watching and stopping the engine's processes."""
