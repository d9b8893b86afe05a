"""Tenants and what belongs to them, in one database of its own; it knows no operator but by proof."""
