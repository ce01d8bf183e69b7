"""Rate limits that all gateways share."""
