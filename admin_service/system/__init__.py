"""Queues and workflows of both services, as operators see them (R-095, R-096)."""
