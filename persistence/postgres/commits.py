"""Asynchronous commits: a statement of its own whose commit does not wait for the disk.

For rows that may be lost in a crash of PostgreSQL, as long as nothing that was committed after them survives it. What a
later commit in the same database makes durable, it makes durable together with all commits before it.
"""

# An expression for the list of columns of a statement. It has to be evaluated, for at least one row.
ASYNCHRONOUSLY = "set_config('synchronous_commit', 'off', true)"
