"""Instructions of programs on the chain, and the layouts of their accounts."""
