"""Operators: the people of the back office, their roles, and how they are provisioned and removed."""
