"""Web Push: the browsers that are subscribed, and what was sent to them."""
