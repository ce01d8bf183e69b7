"""Web Push: notifications to browsers that are closed."""
