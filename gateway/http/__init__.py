"""What all HTTP requests share: errors, limits, middleware."""
