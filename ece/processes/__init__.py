"""The long-lived processes that the supervisor starts."""
