"""Tenants: who they are, in which state, and how operators make and see them."""
