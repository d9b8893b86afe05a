"""Inviting: how operators bring owners and admins into a tenant that exists (R-088, G-04)."""
