"""Load tests with Locust.

Locust patches the standard library when it is imported, so it is imported in processes of its own only. These modules
run there, and no other module may import them: `locustfile`, `state`, `line`, `connection`, `rest` and `users/`.
"""
