"""Jumping to what somebody can name: ids, slugs, tenants, packs, operators."""
