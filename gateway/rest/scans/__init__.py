"""Cards found in photographs."""
