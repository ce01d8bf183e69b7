"""Settings of the planner for connections with one task."""

LOOK_UPS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""For statements that look up a few rows by index, over and over.

A plan for each call would cost as much as the call. The one plan is made when the connection is opened, while tables
may be small, and by itself the planner would choose to scan them: that cost four times as much once they had grown.
"""
