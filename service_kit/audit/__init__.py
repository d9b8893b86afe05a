"""The audit log that each service keeps in its own database; the same tables and rules in both."""
