"""Invitations: the only way by which a person comes to a tenant (R-036)."""
