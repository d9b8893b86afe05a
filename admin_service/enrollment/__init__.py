"""Enrollment: how a person whom Access proved claims the operator row that was made for them."""
