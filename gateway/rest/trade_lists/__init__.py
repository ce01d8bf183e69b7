"""What users are open to trade and want, trade links, and proposed trades."""
