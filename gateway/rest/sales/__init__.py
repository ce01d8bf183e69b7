"""Copies, receipts, refunds and second chances."""
